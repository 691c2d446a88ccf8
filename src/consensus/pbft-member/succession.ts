import type { Hasher } from "../../platform/hasher.ts";
import { toHex } from "../../platform/hex.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import { faultyOf } from "../pbft/group.ts";
import { encodeEnvelope, HANDOVERS_MAX } from "./envelope.ts";
import {
  type Handover,
  handoverDigest,
  isHandoverOf,
  type SignedHandover,
  signHandover,
} from "./handover.ts";
import type { KeptHandover } from "./member-disk.ts";
import { Pace } from "./pace.ts";

/** Epochs whose end is known; who is behind by more can not be led on. */
export const HANDOVERS_KEPT = 256;

/** What the succession of epochs is made of. */
export interface SuccessionParts {
  readonly group: string;
  readonly signer: Signer;
  readonly hasher: Hasher;
  readonly everyMs: number;
  readonly nowMs: () => number;
  readonly send: (to: PeerId, bytes: Uint8Array) => void;
  /** The end of an epoch is proven. @param isBehind others have gone on from the next one as well */
  readonly proven: (kept: KeptHandover, isBehind: boolean) => void;
  /** A peer signed nothing of the kind. */
  readonly refused: (from: PeerId, reason: "wrong-handover" | "other-handover") => void;
}

interface Ended {
  readonly voters: readonly PeerId[];
  readonly handover: Handover;
  readonly digest: Uint8Array;
  readonly signatures: Map<PeerId, Uint8Array>;
  isProven: boolean;
}

/**
 * How one epoch follows from another. Members who have executed the last batch of an epoch put their names under what the
 * next one begins with; f + 1 names lead on those who have not, and those who join.
 */
export class Succession {
  readonly #parts: SuccessionParts;
  /** By epoch, oldest first. */
  readonly #ended = new Map<number, Ended>();
  readonly #answers: Pace;
  #epoch: number;
  #voters: readonly PeerId[];
  /** What members say about the end of this epoch, which has not been reached here; one word of each. */
  readonly #heard = new Map<string, Ended>();
  readonly #heardFrom = new Set<PeerId>();
  #toldAtMs = Number.NEGATIVE_INFINITY;

  /** @param epoch that runs, or that a ticket tells of @param voters of that epoch */
  constructor(
    parts: SuccessionParts,
    epoch: number,
    voters: readonly PeerId[],
    kept: readonly KeptHandover[],
  ) {
    this.#parts = parts;
    this.#epoch = epoch;
    this.#voters = voters;
    this.#answers = new Pace(parts.everyMs);
    for (const { voters, signed } of kept) {
      const { handover, signatures } = signed;
      const digest = handoverDigest(parts.group, handover, parts.hasher);
      const isProven = signatures.size > faultyOf(voters.length);
      this.#ended.set(handover.epoch, {
        voters,
        handover,
        digest,
        signatures: new Map(signatures),
        isProven,
      });
    }
  }

  /** What f + 1 members say about the end of the epoch that runs, if they do. */
  get provenEnd(): KeptHandover | undefined {
    for (const heard of this.#heard.values()) if (heard.isProven) return keptOf(heard);
    return undefined;
  }

  /** @returns whether the end of that epoch is proven; of an unknown one, false */
  isProven(epoch: number): boolean {
    return this.#ended.get(epoch)?.isProven === true;
  }

  /** This member has executed the last batch of the epoch. @returns its own word, to be put on record */
  reached(handover: Handover): KeptHandover {
    const { group, hasher, signer } = this.#parts;
    const digest = handoverDigest(group, handover, hasher);
    const heard = this.#heard.get(toHex(digest));
    const signatures = heard?.signatures ?? new Map<PeerId, Uint8Array>();
    signatures.set(signer.peerId, signHandover(signer, digest));
    const isProven = signatures.size > faultyOf(this.#voters.length);
    const ended = { voters: this.#voters, handover, digest, signatures, isProven };
    this.#goOn(ended);
    return keptOf(ended);
  }

  /** The epoch is left on the word of others. */
  follow({ voters, signed }: KeptHandover): void {
    const { handover, signatures } = signed;
    const digest = handoverDigest(this.#parts.group, handover, this.#parts.hasher);
    const copy = new Map(signatures);
    this.#goOn({ voters, handover, digest, signatures: copy, isProven: true });
  }

  /** Tells everybody whom it concerns how the last epoch ended, again until that is proven. */
  tell(): void {
    const nowMs = this.#parts.nowMs();
    const last = this.#ended.get(this.#epoch - 1);
    if (last === undefined || nowMs - this.#toldAtMs < this.#parts.everyMs) return;
    const isFirst = this.#toldAtMs === Number.NEGATIVE_INFINITY;
    if (last.isProven && !isFirst) return;
    this.#toldAtMs = nowMs;
    const { peerId } = this.#parts.signer;
    const own = last.signatures.get(peerId);
    if (own === undefined) return;
    const bytes = encodeEnvelope({
      kind: "handovers",
      handovers: [{ handover: last.handover, signatures: new Map([[peerId, own]]) }],
    });
    for (const peer of new Set([...last.voters, ...last.handover.members]))
      if (peer !== peerId && (isFirst || !last.signatures.has(peer))) this.#parts.send(peer, bytes);
  }

  /** Tells a peer how this epoch ended, and those after it. */
  answer(to: PeerId, epoch: number): void {
    const first = this.#ended.get(epoch);
    if (first === undefined) return;
    const isConcerned = first.voters.includes(to) || this.#voters.includes(to);
    if (!isConcerned || !this.#answers.isDue(to, this.#parts.nowMs())) return;
    const handovers: SignedHandover[] = [];
    for (let at = epoch; handovers.length < HANDOVERS_MAX; at++) {
      const ended = this.#ended.get(at);
      if (ended === undefined) break;
      handovers.push(keptOf(ended).signed);
    }
    this.#parts.send(to, encodeEnvelope({ kind: "handovers", handovers }));
  }

  /** A member tells how epochs ended. */
  take(from: PeerId, handovers: readonly SignedHandover[]): void {
    for (const [at, signed] of handovers.entries()) {
      const { epoch } = signed.handover;
      const isBehind = at < handovers.length - 1;
      if (epoch === this.#epoch) this.#takeCurrent(from, signed, isBehind);
      else this.#takeEnded(from, signed);
    }
  }

  #takeEnded(from: PeerId, { handover, signatures }: SignedHandover): void {
    const ended = this.#ended.get(handover.epoch);
    if (ended === undefined || ended.isProven) return;
    const { group, hasher } = this.#parts;
    if (toHex(handoverDigest(group, handover, hasher)) !== toHex(ended.digest)) {
      this.#parts.refused(from, "other-handover");
      return;
    }
    for (const [peer, signature] of signatures) {
      if (ended.signatures.has(peer)) continue;
      // Who hands on one wrong name is not worth the check of the others.
      if (!this.#isGenuine(from, ended, peer, signature)) break;
      ended.signatures.set(peer, signature);
    }
    this.#count(ended, false);
  }

  #takeCurrent(from: PeerId, { handover, signatures }: SignedHandover, isBehind: boolean): void {
    const digest = handoverDigest(this.#parts.group, handover, this.#parts.hasher);
    const key = toHex(digest);
    const heard = this.#heard.get(key) ?? {
      voters: this.#voters,
      handover,
      digest,
      signatures: new Map<PeerId, Uint8Array>(),
      isProven: false,
    };
    for (const [peer, signature] of signatures) {
      if (this.#heardFrom.has(peer)) continue;
      if (!this.#isGenuine(from, heard, peer, signature)) break;
      this.#heardFrom.add(peer);
      heard.signatures.set(peer, signature);
      this.#heard.set(key, heard);
    }
    if (heard.isProven && isBehind) this.#parts.proven(keptOf(heard), true);
    else this.#count(heard, isBehind);
  }

  #isGenuine(
    from: PeerId,
    { voters, digest }: Pick<Ended, "voters" | "digest">,
    peer: PeerId,
    signature: Uint8Array,
  ): boolean {
    const isGenuine =
      voters.includes(peer) && isHandoverOf(this.#parts.signer, peer, digest, signature);
    if (!isGenuine) this.#parts.refused(from, "wrong-handover");
    return isGenuine;
  }

  #count(ended: Ended, isBehind: boolean): void {
    if (ended.isProven || ended.signatures.size <= faultyOf(ended.voters.length)) return;
    ended.isProven = true;
    this.#parts.proven(keptOf(ended), isBehind);
  }

  #goOn(ended: Ended): void {
    this.#ended.set(ended.handover.epoch, ended);
    this.#ended.delete(ended.handover.epoch - HANDOVERS_KEPT);
    this.#epoch = ended.handover.epoch + 1;
    this.#voters = ended.handover.members;
    this.#heard.clear();
    this.#heardFrom.clear();
    this.#toldAtMs = Number.NEGATIVE_INFINITY;
  }
}

function keptOf({ voters, handover, signatures }: Ended): KeptHandover {
  return { voters, signed: { handover, signatures } };
}
