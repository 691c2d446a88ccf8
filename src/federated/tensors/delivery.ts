import type { Hasher } from "../../platform/hasher.ts";
import { type BulkSink, Refused } from "../../platform/network.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { TensorReply } from "./message-codec.ts";
import type { PartialTensor } from "./partial-tensor.ts";

/** How one attempt at one holder ended. */
export type DeliveryEnd =
  | { readonly kind: "done" }
  /** All bytes came, and they are not those of the hash. */
  | { readonly kind: "wrong" }
  /** It broke the protocol. */
  | { readonly kind: "malformed" }
  | { readonly kind: "busy"; readonly retryAfterMs: number }
  | { readonly kind: "failed"; readonly reason: string };

/** What one holder sends of one tensor, from the question to the last byte, in the answer or in bulk. Ends once. */
export class Delivery {
  readonly from: PeerId;
  readonly partial: PartialTensor;
  /** Never rejects. */
  readonly end: Promise<DeliveryEnd>;
  readonly #hasher: Hasher;
  readonly #onBytes: (bytes: number) => void;
  readonly #settle: (end: DeliveryEnd) => void;
  #isOpen = true;
  #isPromised = false;
  #isPushed = false;

  /** @param onBytes hears of every byte that came, wanted or not */
  constructor(
    from: PeerId,
    partial: PartialTensor,
    hasher: Hasher,
    onBytes: (bytes: number) => void,
  ) {
    this.from = from;
    this.partial = partial;
    this.#hasher = hasher;
    this.#onBytes = onBytes;
    const { promise, resolve } = Promise.withResolvers<DeliveryEnd>();
    this.end = promise;
    this.#settle = resolve;
  }

  /** Takes what the holder answered; undefined for what is no answer. */
  answer(reply: TensorReply | undefined): void {
    // Bytes say more than an answer that comes after them.
    if (!this.#isOpen || this.#isPushed) return;
    if (reply === undefined) this.close({ kind: "malformed" });
    else if (reply.kind === "rest") this.#rest(reply.bytes);
    else if (reply.kind === "push") this.#isPromised = true;
    else {
      const { reason, retryAfterMs } = reply;
      this.close(reason === "busy" ? { kind: "busy", retryAfterMs } : { kind: "failed", reason });
    }
  }

  /** No answer can be had. What is being pushed already comes all the same. */
  unanswered(reason: string): void {
    if (!this.#isPushed) this.close({ kind: "failed", reason });
  }

  /** The link is gone: what was promised over it and has not begun does not come. What has begun hears of it itself. */
  linkDown(): void {
    if (this.#isPromised) this.unanswered("network.closed");
  }

  /** @returns what takes the bytes in bulk @throws Refused when they come a second time, or too late */
  sink(): BulkSink {
    if (!this.#isOpen || this.#isPushed) throw unwanted();
    this.#isPushed = true;
    const { partial } = this;
    return {
      offset: partial.length,
      read: (offset, length) => {
        if (!this.#isOpen) throw unwanted();
        return partial.read(offset, length);
      },
      write: (bytes) => {
        const isTaken = this.#isOpen && partial.append(this.from, bytes);
        this.#onBytes(bytes.length);
        if (!isTaken) throw unwanted();
      },
      // The network has checked the digest, and the offer was for this one.
      done: () => this.close({ kind: "done" }),
      broken: ({ code, refusal }) => {
        if (!this.#isOpen) return;
        if (partial.isWhole) this.#check();
        else this.close({ kind: "failed", reason: refusal ?? code });
      },
    };
  }

  /** Ends it, unless it has ended: what still comes is refused. */
  close(end: DeliveryEnd): void {
    this.#isOpen = false;
    this.#settle(end);
  }

  #rest(bytes: Uint8Array): void {
    const isTaken = this.partial.append(this.from, bytes);
    this.#onBytes(bytes.length);
    if (isTaken && this.partial.isWhole) this.#check();
    else this.close({ kind: "malformed" });
  }

  #check(): void {
    this.close({ kind: this.partial.isRight(this.#hasher) ? "done" : "wrong" });
  }
}

/** Nobody asked for it, or nobody wants it any more. */
export function unwanted(): Refused {
  return new Refused("tensors.unwanted", "this agent has not asked for it");
}
