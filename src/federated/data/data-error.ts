/** Data that can not be read or used; `message` names the file's or the setting's fault and what would help. */
export class DataError extends Error {
  override readonly name = "DataError";
  readonly code: "data.format" | "data.too-large" | "data.setting";
  constructor(code: DataError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
