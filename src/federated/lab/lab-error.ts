/** An experiment that can not be run as it was written; `message` names the setting and what would do. */
export class LabError extends Error {
  override readonly name = "LabError";
  readonly code = "lab.setting";
}
