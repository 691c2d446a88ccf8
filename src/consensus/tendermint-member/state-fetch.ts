import type { Hasher } from "../../platform/hasher.ts";
import type { PeerId } from "../../platform/signer.ts";
import { faultOfCertificate, votesOf } from "../tendermint/certificate.ts";
import { PARTS_MAX, type Part, PartAssembler, split, valueIdOf } from "../tendermint/parts.ts";
import type { BallotVerifier } from "../tendermint/signing.ts";
import type { ValidatorSet } from "../tendermint/validators.ts";
import { type BlockLimits, decodeBlock } from "./block.ts";
import type { HouseMessage } from "./messages.ts";
import type { Offer } from "./offer.ts";
import type { ProvenState } from "./record-codec.ts";
import { decodeState, STATE_PART_BYTES_MAX, statePartBytes } from "./state-codec.ts";

/** Parts that are asked for together. */
const PARTS_ASKED_MAX = 8;
/** Who gives nothing for so long is not asked again for this state. */
const PATIENCE_MS = 2_000;
const SOURCES_MAX = 8;

/** Whom a member that is behind knows. */
export interface Trust {
  /** Who voted at the height that it knows last. */
  readonly validators: ValidatorSet;
  /** Of the state that its ticket names. */
  readonly digest: string | undefined;
}

interface Parts {
  readonly hasher: Hasher;
  readonly verifier: BallotVerifier;
  readonly limits: BlockLimits;
  readonly partBytes: number;
  readonly nowMs: () => number;
  readonly send: (to: PeerId, message: HouseMessage) => void;
}

interface Run {
  readonly offer: Offer;
  readonly digest: string;
  readonly assembler: PartAssembler;
  readonly sources: PeerId[];
  heardAtMs: number;
  asked: number;
}

/**
 * Fetches a state that others offer. It is taken for true when more than 1/3 of the power that this member knows has signed
 * the decision on the block that names it, so that somebody honest is among them, and more than 2/3 of the power that the
 * state itself names; that is how light clients skip heights (Buchman et al., "Tendermint Core light client", 2019).
 */
export class StateFetch {
  readonly #parts: Parts;
  #run: Run | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  get isUnderWay(): boolean {
    return this.#run !== undefined;
  }

  /** Forgets what is under way. */
  stop(): void {
    this.#run = undefined;
  }

  /**
   * Somebody offers a state.
   * @param height that this member has applied @returns false when the offer proves nothing
   */
  offered(from: PeerId, offer: Offer, height: number, trust: Trust): boolean {
    const { hasher, nowMs } = this.#parts;
    if (offer.height <= height) return true;
    const digest = valueIdOf(offer.manifest, hasher);
    const run = this.#run;
    if (run?.digest === digest) {
      if (!run.sources.includes(from) && run.sources.length < SOURCES_MAX) run.sources.push(from);
      return true;
    }
    // Who is asked for parts and has a later state has let go of the one before.
    const isNext = run !== undefined && from === run.sources[0] && offer.height > run.offer.height;
    if (run !== undefined && !isNext) return true;
    if (!this.#isTrue(offer, digest, trust)) return false;
    const assembler = new PartAssembler(offer.manifest, hasher);
    this.#run = { offer, digest, assembler, sources: [from], heardAtMs: nowMs(), asked: 0 };
    this.#ask(this.#run);
    return true;
  }

  /** @returns the state when that was the last part; "refused" for what nobody asked for, and what does not belong to it */
  part(digest: string, part: Part): ProvenState | "refused" | undefined {
    const run = this.#run;
    if (run?.digest !== digest) return "refused";
    const outcome = run.assembler.add(part);
    if (outcome === "bad-part") return "refused";
    if (outcome === "duplicate") return undefined;
    run.heardAtMs = this.#parts.nowMs();
    run.asked--;
    if (outcome === "taken") {
      if (run.asked <= 0) this.#ask(run);
      return undefined;
    }
    this.#run = undefined;
    const state = run.assembler.value();
    const validators = decodeState(state)?.rotation.validators;
    const { certificate } = run.offer;
    const isDecided =
      validators !== undefined &&
      faultOfCertificate(certificate, validators, this.#parts.verifier) === undefined;
    return isDecided ? { offer: run.offer, state } : "refused";
  }

  /** Asks another one where nothing comes. */
  tick(): void {
    const run = this.#run;
    const nowMs = this.#parts.nowMs();
    if (run === undefined || nowMs - run.heardAtMs < PATIENCE_MS) return;
    run.sources.shift();
    run.heardAtMs = nowMs;
    if (run.sources.length === 0) this.#run = undefined;
    else this.#ask(run);
  }

  #ask(run: Run): void {
    const [source] = run.sources;
    if (source === undefined) return;
    const indexes = run.assembler.missing().slice(0, PARTS_ASKED_MAX);
    run.asked = indexes.length;
    this.#parts.send(source, { kind: "state-ask", digest: run.digest, indexes });
  }

  #isTrue(offer: Offer, digest: string, trust: Trust): boolean {
    const { manifest, certificate, block } = offer;
    const { hasher, limits, partBytes, verifier } = this.#parts;
    const isSized =
      manifest.bytes <= STATE_PART_BYTES_MAX * PARTS_MAX &&
      manifest.partBytes === statePartBytes(manifest.bytes);
    const { basis } = decodeBlock(block, limits) ?? {};
    if (!isSized || basis?.snapshotDigest !== digest || basis.snapshotHeight !== offer.height)
      return false;
    // The ticket names this very state. Who decided on it is checked with what it says.
    if (digest === trust.digest) return true;
    if (certificate.kind !== "precommit" || certificate.height !== offer.height + 1) return false;
    if (split(block, partBytes, hasher).valueId !== certificate.valueId) return false;
    const known = new Map(
      votesOf(certificate)
        .filter(({ validator }) => trust.validators.has(validator))
        .map((vote) => [vote.validator, vote]),
    );
    let power = 0;
    for (const [validator, vote] of known)
      if (verifier.isSignedVote(vote)) power += trust.validators.powerOf(validator);
    return trust.validators.hasHonest(power);
  }
}
