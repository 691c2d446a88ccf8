/** What every failure of this room can be told apart by; stable. */
export type TensorErrorCode =
  /** A hash, a size or a setting that can not be. */
  | "tensor.invalid"
  /** Longer than a setting allows. */
  | "tensor.too-large"
  /** What is pinned leaves no room in memory. */
  | "tensor.memory-full"
  /** What is kept leaves no room in the store. */
  | "tensor.store-full"
  /** It is not on the shelf. */
  | "tensor.missing"
  /** Too many fetches wait. */
  | "tensor.busy"
  /** No holder gave it. */
  | "tensor.unavailable"
  /** Whoever wanted it has given up. */
  | "tensor.aborted"
  /** The agent stops. */
  | "tensor.stopped";

/** A tensor can not be kept or had; `message` names the setting or the reason and what would help. */
export class TensorError extends Error {
  override readonly name = "TensorError";
  readonly code: TensorErrorCode;
  constructor(code: TensorErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
