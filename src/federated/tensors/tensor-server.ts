import { fromHex } from "../../platform/hex.ts";
import type { Logger } from "../../platform/logger.ts";
import { type Network, NetworkError, type NetworkGate, Refused } from "../../platform/network.ts";
import type { PeerId } from "../../platform/signer.ts";
import { INLINE_BYTES_MAX } from "./bounds.ts";
import {
  decodeQuestion,
  encodeReply,
  type TensorQuestion,
  type TensorRefusal,
  type TensorReply,
} from "./message-codec.ts";
import type { TensorExchangeOptions } from "./options.ts";
import type { TensorShelf } from "./tensor-shelf.ts";

/** Carries the tensors that are too long for an answer. */
export const TENSORS_BULK_ID = "/agent-mesh/tensors-bulk/1.0.0";
/** After which one that was turned away may ask again. */
const RETRY_AFTER_MS = 1_000;

/** What serving works with. */
export interface TensorServerParts {
  readonly network: Pick<Network, "sendBulk">;
  readonly shelf: Pick<TensorShelf, "get" | "sizeOf">;
  readonly gate: Pick<NetworkGate, "offence">;
  readonly logger: Logger;
  readonly options: TensorExchangeOptions;
  /** Whether this peer is served now; asked again while bytes flow. */
  readonly mayServe: (peer: PeerId) => boolean;
}

/** A tensor on its way to a peer. */
interface Upload {
  readonly peer: PeerId;
  readonly hash: string;
  readonly sizeBytes: number;
  /** The peer has asked anew, or the agent stops: no more is read. */
  isOver: boolean;
}

/** Gives peers the tensors of the shelf that they ask for, so many at once. */
export class TensorServer {
  readonly #parts: TensorServerParts;
  readonly #uploads = new Set<Upload>();
  #isStopped = false;
  sentBytes = 0;
  served = 0;
  refused = 0;

  constructor(parts: TensorServerParts) {
    this.#parts = parts;
  }

  /** Tensors that are being sent. */
  get uploads(): number {
    return this.#uploads.size;
  }

  /** @returns the answer to a question @throws Refused `tensors.malformed` */
  async answer(from: PeerId, payload: Uint8Array): Promise<Uint8Array> {
    const question = decodeQuestion(payload);
    if (question === undefined) {
      this.#parts.gate.offence(from, "malformed");
      throw new Refused("tensors.malformed", "no question for a tensor");
    }
    const reply = await this.#reply(from, question);
    if (reply.kind === "refusal") this.refused++;
    return encodeReply(reply);
  }

  /** Ends what is being sent. */
  stop(): void {
    this.#isStopped = true;
    for (const upload of this.#uploads) upload.isOver = true;
  }

  async #reply(peer: PeerId, { hash, sizeBytes, offset }: TensorQuestion): Promise<TensorReply> {
    const { shelf, mayServe } = this.#parts;
    const known = shelf.sizeOf(hash);
    if (known === undefined) return refusal("unknown");
    if (known !== sizeBytes) return { ...refusal("other-size"), sizeBytes: known };
    if (this.#isStopped || !mayServe(peer)) return refusal("unwilling");
    // One that asks anew has lost what was on the way.
    for (const before of this.#uploads)
      if (before.peer === peer && before.hash === hash) before.isOver = true;
    if (!this.#hasRoom(peer, hash, sizeBytes)) return refusal("busy", RETRY_AFTER_MS);
    const upload: Upload = { peer, hash, sizeBytes, isOver: false };
    this.#uploads.add(upload);
    let isPushed = false;
    try {
      const bytes = await shelf.get(hash);
      if (bytes === undefined) return refusal("unknown");
      if (sizeBytes - offset <= INLINE_BYTES_MAX) {
        this.sentBytes += sizeBytes - offset;
        this.served++;
        return { kind: "rest", bytes: bytes.subarray(offset) };
      }
      isPushed = true;
      void this.#push(upload, bytes);
      return { kind: "push" };
    } finally {
      if (!isPushed) this.#uploads.delete(upload);
    }
  }

  #hasRoom(peer: PeerId, hash: string, sizeBytes: number): boolean {
    const { uploadsMax, uploadsPerPeerMax, uploadBytesMax } = this.#parts.options;
    if (this.#uploads.size >= uploadsMax) return false;
    let ofPeer = 0;
    // One tensor that goes to several is in memory once.
    const sizes = new Map([[hash, sizeBytes]]);
    for (const upload of this.#uploads) {
      if (upload.peer === peer) ofPeer++;
      sizes.set(upload.hash, upload.sizeBytes);
    }
    if (ofPeer >= uploadsPerPeerMax) return false;
    let bytes = 0;
    for (const size of sizes.values()) bytes += size;
    return sizes.size === 1 || bytes <= uploadBytesMax;
  }

  async #push(upload: Upload, bytes: Uint8Array): Promise<void> {
    const { network, logger, mayServe } = this.#parts;
    const { peer, hash, sizeBytes } = upload;
    try {
      await network.sendBulk(peer, TENSORS_BULK_ID, {
        name: hash,
        sizeBytes,
        sha256: fromHex(hash),
        read: (offset, length) => {
          if (upload.isOver || !mayServe(peer))
            throw new NetworkError("network.closed", "the tensor is not sent any more");
          const piece = bytes.subarray(offset, offset + length);
          this.sentBytes += piece.length;
          return piece;
        },
      });
      this.served++;
    } catch (error) {
      logger.debug("a tensor did not arrive", { peer, hash, error });
    } finally {
      this.#uploads.delete(upload);
    }
  }
}

function refusal(
  reason: TensorRefusal,
  retryAfterMs = 0,
): Extract<TensorReply, { kind: "refusal" }> {
  return { kind: "refusal", reason, retryAfterMs, sizeBytes: 0 };
}
