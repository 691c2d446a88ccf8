/** A learning task could not be had as it was asked for; `code` is stable, `message` names the setting and what would do. */
export class LearningError extends Error {
  override readonly name = "LearningError";
  readonly code:
    | "learning.spec"
    | "learning.unknown-task"
    | "learning.not-the-author"
    | "learning.ended"
    | "learning.full"
    | "learning.off"
    | "learning.no-data"
    | "learning.no-model"
    | "learning.no-streams"
    | "learning.version"
    | "learning.label"
    | "learning.busy";
  constructor(code: LearningError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
