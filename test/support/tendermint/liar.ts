/** A validator that says what it likes: it can sign in its own name, and nothing else in any other's. */
import { type Certificate, certificateOf } from "../../../src/consensus/tendermint/certificate.ts";
import type { TendermintMessage } from "../../../src/consensus/tendermint/messages.ts";
import { type SplitValue, split } from "../../../src/consensus/tendermint/parts.ts";
import { signProposal, signVote } from "../../../src/consensus/tendermint/signing.ts";
import type { VoteKind } from "../../../src/consensus/tendermint/vote.ts";
import type { Hasher } from "../../../src/platform/hasher.ts";
import type { Random } from "../../../src/platform/random.ts";
import type { PeerId, Signer } from "../../../src/platform/signer.ts";

const HEARD_MAX = 60;

export type LiarManner = "silent" | "equivocating" | "lying" | "replaying" | "all";

export interface LiarParts {
  readonly signer: Signer;
  readonly hasher: Hasher;
  readonly random: Random;
  readonly instance: string;
  readonly partBytes: number;
  readonly manner: LiarManner;
  readonly others: readonly PeerId[];
  readonly proposerAt: (height: number, round: number) => PeerId | undefined;
  /** A value of its own; it may be one that nobody may decide. */
  readonly newValue: (height: number) => Uint8Array;
}

export interface Lie {
  readonly to: PeerId;
  readonly message: TendermintMessage;
}

export class Liar {
  readonly #parts: LiarParts;
  readonly #heard: TendermintMessage[] = [];
  /** Values by height, so that it can vote for what others may vote for. */
  readonly #values = new Map<number, string[]>();
  readonly #proposed = new Set<string>();

  constructor(parts: LiarParts) {
    this.#parts = parts;
  }

  /** @returns what it says because of that */
  hear(message: TendermintMessage): Lie[] {
    const { manner, random } = this.#parts;
    if (manner === "silent") return [];
    this.#heard[Math.floor(random.next() * HEARD_MAX)] = message;
    const lies: Lie[] = [];
    const manners = manner === "all" ? (["equivocating", "lying", "replaying"] as const) : [manner];
    for (const one of manners) {
      if (one === "replaying") lies.push(...this.#replay());
      if (message.kind === "proposal") {
        const { height, valueId } = message.proposal;
        const known = this.#values.get(height) ?? [];
        if (!known.includes(valueId)) this.#values.set(height, [...known.slice(-3), valueId]);
      }
      const at = message.kind === "proposal" ? message.proposal : undefined;
      const vote = message.kind === "votes" ? message.votes.at(-1) : undefined;
      const height = at?.height ?? vote?.height;
      const round = at?.round ?? vote?.round;
      if (height === undefined || round === undefined || one === "replaying") continue;
      lies.push(...this.#vote(height, round, one === "equivocating"));
      if (random.next() < 0.1) lies.push(...this.#vote(height, round + 1, true));
      lies.push(...this.#propose(height, round, one === "lying"));
    }
    return lies;
  }

  /** Different words to different peers; a lock here, none there. */
  #vote(height: number, round: number, isSplit: boolean): Lie[] {
    const { signer, instance, random, others } = this.#parts;
    const choices = [null, ...(this.#values.get(height) ?? [])];
    const pick = (): string | null => choices[Math.floor(random.next() * choices.length)] ?? null;
    const kind: VoteKind = random.next() < 0.6 ? "prevote" : "precommit";
    const common = pick();
    return others
      .filter(() => random.next() < 0.7)
      .map((to) => {
        const valueId = isSplit ? pick() : common;
        const vote = { kind, height, round, valueId, validator: signer.peerId };
        return { to, message: { kind: "votes", votes: [signVote(signer, instance, vote)] } };
      });
  }

  #propose(height: number, round: number, isLying: boolean): Lie[] {
    const { signer, others, random } = this.#parts;
    const lies: Lie[] = [];
    for (const at of [round, round + 1]) {
      const isOwnTurn = this.#parts.proposerAt(height, at) === signer.peerId;
      if (!isOwnTurn && !(isLying && random.next() < 0.1)) continue;
      if (this.#proposed.has(`${height}/${at}`)) continue;
      this.#proposed.add(`${height}/${at}`);
      const values = [this.#newValue(height), this.#newValue(height)] as const;
      for (const to of others) {
        const value = values[random.next() < 0.5 ? 0 : 1];
        const validRound = isLying ? Math.floor(random.next() * (at + 1)) - 1 : -1;
        lies.push({ to, message: this.#proposal(height, at, validRound, value) });
        if (isLying) lies.push({ to, message: this.#decision(height, at, value) });
      }
    }
    return lies;
  }

  #newValue(height: number): SplitValue {
    const { partBytes, hasher, random } = this.#parts;
    const value = this.#parts.newValue(height);
    // Of more than one part none is ever told: the rest of the committee waits for them in vain.
    const isWithheld = random.next() < 0.2;
    return split(isWithheld ? value : value.subarray(0, partBytes), partBytes, hasher);
  }

  #proposal(
    height: number,
    round: number,
    validRound: number,
    { valueId, manifest, parts }: SplitValue,
  ): TendermintMessage {
    const { signer, instance } = this.#parts;
    const proposer = signer.peerId;
    const proposal = signProposal(signer, instance, {
      height,
      round,
      valueId,
      validRound,
      proposer,
    });
    const known = this.#values.get(height) ?? [];
    this.#values.set(height, [...known.slice(-3), valueId]);
    const value = parts.length === 1 ? parts[0]?.bytes : undefined;
    const polka: Certificate | undefined =
      validRound < 0
        ? undefined
        : certificateOf([
            signVote(signer, instance, {
              kind: "prevote",
              height,
              round: validRound,
              valueId,
              validator: proposer,
            }),
          ]);
    return {
      kind: "proposal",
      proposal,
      manifest,
      ...(value !== undefined && { value }),
      ...(polka !== undefined && { polka }),
    };
  }

  /** A decision that it took alone. */
  #decision(
    height: number,
    round: number,
    { valueId, manifest, parts }: SplitValue,
  ): TendermintMessage {
    const { signer, instance } = this.#parts;
    const validator = signer.peerId;
    const vote = { kind: "precommit", height, round, valueId, validator } as const;
    // Alone it says it often.
    const own = signVote(signer, instance, vote);
    const times = this.#parts.random.next() < 0.5 ? 1 : this.#parts.others.length;
    const certificate = certificateOf(Array.from({ length: times }, () => own));
    return { kind: "decision", certificate, manifest, value: parts[0]?.bytes ?? new Uint8Array() };
  }

  /** Old words again, words with a stolen name, and nonsense. */
  #replay(): Lie[] {
    const { random, others, signer } = this.#parts;
    const message = this.#heard[Math.floor(random.next() * HEARD_MAX)];
    const to = others[Math.floor(random.next() * others.length)];
    if (message === undefined || to === undefined) return [];
    if (message.kind === "votes" && random.next() < 0.3) {
      const votes = message.votes.map((vote) => ({ ...vote, round: vote.round + 1 }));
      return [{ to, message: { kind: "votes", votes } }];
    }
    if (message.kind === "decision" && random.next() < 0.5) {
      const { certificate } = message;
      const signatures = certificate.signatures.map((one) => ({
        ...one,
        validator: signer.peerId,
      }));
      return [{ to, message: { ...message, certificate: { ...certificate, signatures } } }];
    }
    if (message.kind === "ask" && random.next() < 0.5)
      return [{ to, message: { kind: "ask", height: 2 ** 60 } }];
    if (message.kind === "part" && random.next() < 0.5)
      return [{ to, message: { ...message, part: { ...message.part, proof: [] } } }];
    return [{ to, message }];
  }
}
