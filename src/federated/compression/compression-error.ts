/** An update that can not be packed or unpacked; `message` names what was wrong. */
export class CompressionError extends Error {
  override readonly name = "CompressionError";
  readonly code: "compression.damaged" | "compression.too-large" | "compression.input";
  constructor(code: CompressionError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
