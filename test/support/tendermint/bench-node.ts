/** One node under test, and the other validators as hands that sign what the test wants. */
import type { RefusalKind, TendermintEffects } from "../../../src/consensus/tendermint/effects.ts";
import type { TendermintMessage } from "../../../src/consensus/tendermint/messages.ts";
import { split } from "../../../src/consensus/tendermint/parts.ts";
import { signProposal, signVote } from "../../../src/consensus/tendermint/signing.ts";
import { Tendermint } from "../../../src/consensus/tendermint/tendermint.ts";
import type { SignedVote, VoteKind } from "../../../src/consensus/tendermint/vote.ts";
import type { WalEntry } from "../../../src/consensus/tendermint/wal.ts";
import type { Signer } from "../../../src/platform/signer.ts";
import { plainHasher } from "../../../src/simulator/plain-hasher.ts";
import { VirtualKeys } from "../../../src/simulator/virtual-signer.ts";
import { worldOptions } from "./world-parts.ts";

export const INSTANCE = "bench";
const NAMES = ["a", "b", "c", "d"];

/** Four validators of equal power, in the order of their turns; this node is one of them. */
export class BenchNode {
  readonly signers: readonly Signer[];
  readonly self: Signer;
  readonly log: WalEntry[] = [];
  node: Tendermint;
  readonly keys = new VirtualKeys();

  /** @param turn in which round of the first height this node proposes */
  constructor(turn: number, log: readonly WalEntry[] = []) {
    this.signers = NAMES.map((name) => this.keys.signer(name)).sort((one, other) =>
      one.peerId < other.peerId ? -1 : 1,
    );
    const self = this.signers[turn];
    if (self === undefined) throw new Error(`there is no turn ${turn}`);
    this.self = self;
    this.log.push(...log);
    this.node = this.#make();
  }

  get others(): readonly Signer[] {
    return this.signers.filter((signer) => signer !== this.self);
  }

  /** The one whose turn a round of the first height is. */
  proposer(round: number): Signer {
    const signer = this.signers[round % NAMES.length];
    if (signer === undefined) throw new Error(`nobody proposes in ${round}`);
    return signer;
  }

  do(input: Parameters<Tendermint["step"]>[0]): TendermintEffects {
    const effects = this.node.step(input);
    this.log.push(...effects.persist);
    return effects;
  }

  start(): TendermintEffects {
    return this.do({ kind: "start" });
  }

  /** It stops and starts again with what is on disk. */
  restart(): TendermintEffects {
    this.node = this.#make();
    return this.start();
  }

  receive(from: Signer, message: TendermintMessage): TendermintEffects {
    return this.do({ kind: "message", from: from.peerId, message });
  }

  /** @returns why a message was refused; undefined when it was taken */
  refusalOf(from: Signer, message: TendermintMessage): RefusalKind | undefined {
    return this.receive(from, message).refused[0]?.kind;
  }

  proposal(
    text: string,
    change: { round?: number; validRound?: number; by?: Signer; height?: number } = {},
  ): Extract<TendermintMessage, { kind: "proposal" }> {
    const { round = 0, validRound = -1, height = 1, by = this.proposer(round) } = change;
    const value = Buffer.from(text);
    const { valueId, manifest, parts } = split(value, worldOptions.partBytes, plainHasher);
    const proposal = signProposal(by, INSTANCE, {
      height,
      round,
      valueId,
      validRound,
      proposer: by.peerId,
    });
    return parts.length === 1
      ? { kind: "proposal", proposal, manifest, value }
      : { kind: "proposal", proposal, manifest };
  }

  vote(
    by: Signer,
    kind: VoteKind,
    valueId: string | null,
    { round = 0, height = 1 }: { round?: number; height?: number } = {},
  ): SignedVote {
    return signVote(by, INSTANCE, { kind, height, round, valueId, validator: by.peerId });
  }

  /** Votes of all others. */
  hearVotes(kind: VoteKind, valueId: string | null, round = 0): TendermintEffects[] {
    return this.others.map((by) =>
      this.receive(by, { kind: "votes", votes: [this.vote(by, kind, valueId, { round })] }),
    );
  }

  /** A proposal of another, whose value the host finds valid. @returns the name of the value */
  hearProposal(text: string, round = 0, validRound = -1): string {
    const message = this.proposal(text, { round, validRound });
    const { height, valueId } = message.proposal;
    this.receive(this.proposer(round), message);
    this.do({ kind: "verdict", height, valueId, isValid: true });
    return valueId;
  }

  /** A step has lasted long enough. */
  timeout(kind: VoteKind | "propose" | "rebroadcast", round: number): TendermintEffects {
    const { height } = this.node.state;
    return this.do({ kind: "timeout", timer: { kind, height, round } });
  }

  #make(): Tendermint {
    return new Tendermint({
      signer: this.self,
      hasher: plainHasher,
      options: worldOptions,
      instance: INSTANCE,
      validators: this.signers.map(({ peerId }) => ({ id: peerId, power: 1 })),
      firstHeight: 1,
      log: this.log,
    });
  }
}

/** Votes of a node among what it sends, as `kind value`. */
export function votesIn(effects: TendermintEffects, by: Signer): string[] {
  return effects.send.flatMap(({ message }) =>
    message.kind === "votes"
      ? message.votes
          .filter(({ validator }) => validator === by.peerId)
          .map(({ kind, round, valueId }) => `${kind} ${round} ${valueId?.slice(0, 6) ?? "nil"}`)
      : [],
  );
}
