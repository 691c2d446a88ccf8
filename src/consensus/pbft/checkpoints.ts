import { type Certificate, gather } from "./certificate.ts";
import { contradict } from "./evidence.ts";
import { NO_STATE } from "./group.ts";
import type { Self } from "./self.ts";
import { type Snapshot, snapshotOf } from "./state.ts";
import type { Turn } from "./turn.ts";
import { genesisOf, isSoundCheckpoint } from "./view-change.ts";
import type { Vote } from "./vote.ts";

/**
 * Votes for what the state is after every K-th sequence number, and the last one that a quorum agrees on (Castro and Liskov
 * 1999, section 4.3). The states themselves stay here from the last stable one but one on, for those who fell behind.
 */
export class Checkpoints {
  readonly #self: Self;
  readonly #votes = new Map<number, (Vote | undefined)[]>();
  readonly #snapshots = new Map<number, Snapshot>();
  #stable: Certificate;

  constructor(self: Self) {
    this.#self = self;
    this.#stable = genesisOf(self.group);
  }

  get stable(): Certificate {
    return this.#stable;
  }

  /** The group has a state that this replica lacks. */
  get isBehind(): boolean {
    return this.#stable.digest !== NO_STATE && this.stableSnapshot === undefined;
  }

  /** This replica's own state where the group's is stable; undefined when it is behind, or has gone wrong. */
  get stableSnapshot(): Snapshot | undefined {
    const snapshot = this.#snapshots.get(this.#stable.sequence);
    return snapshot?.digest === this.#stable.digest ? snapshot : undefined;
  }

  snapshotAt(sequence: number): Snapshot | undefined {
    return this.#snapshots.get(sequence);
  }

  /** Own votes for states that are not stable yet, for those who may have missed them. */
  ownVotes(): Vote[] {
    const own: Vote[] = [];
    for (const votes of this.#votes.values()) {
      const vote = votes[this.#self.index];
      if (vote !== undefined) own.push(vote);
    }
    return own;
  }

  /** This replica's state after a sequence number. @returns whether another state has become stable by it */
  taken(turn: Turn, sequence: number, state: Uint8Array): boolean {
    const { hasher, options, index } = this.#self;
    const snapshot = snapshotOf(sequence, state, hasher, options);
    this.#snapshots.set(sequence, snapshot);
    if (sequence <= this.#stable.sequence) return false;
    const vote = this.#self.sign("checkpoint", 0, sequence, snapshot.digest);
    const votes = this.#votesAt(sequence);
    // What a replica said before a restart stays said.
    if (votes[index] === undefined) {
      votes[index] = vote;
      turn.broadcast({ kind: "vote", vote });
    }
    return this.#count(sequence, snapshot.digest);
  }

  /** @returns whether another state has become stable by it */
  take(turn: Turn, vote: Vote): boolean {
    const { options, check, index } = this.#self;
    const { sequence, digest, signer } = vote;
    if (vote.view !== 0 || sequence % options.checkpointInterval !== 0) {
      turn.refuse("malformed");
      return false;
    }
    const ahead = sequence - this.#stable.sequence;
    if (ahead <= 0) return false;
    if (ahead > options.windowSize) {
      turn.refuse("outside-watermarks");
      return false;
    }
    const votes = this.#votesAt(sequence);
    const known = votes[signer];
    if (known?.digest === digest) return false;
    if (!check.isGenuine(vote) || signer === index) {
      turn.refuse("wrong-signature");
      return false;
    }
    if (known !== undefined) {
      if (contradict(known, vote))
        turn.evidence.push({ accused: signer, first: known, second: vote });
      turn.refuse("contradiction");
      return false;
    }
    votes[signer] = vote;
    return this.#count(sequence, digest);
  }

  /** Proof from elsewhere. @returns whether another state is stable now; undefined when it proves nothing */
  takeProof(certificate: Certificate): boolean | undefined {
    if (certificate.sequence <= this.#stable.sequence) return false;
    if (!isSoundCheckpoint(certificate, this.#self.check, this.#self.options)) return undefined;
    this.#setStable(certificate);
    return true;
  }

  /** A state that was fetched, or was on record. */
  installed(snapshot: Snapshot): void {
    this.#snapshots.set(snapshot.sequence, snapshot);
  }

  /** From the record, before anything else. */
  restore(stable: Certificate): void {
    this.#stable = stable;
  }

  #count(sequence: number, digest: string): boolean {
    const { group } = this.#self;
    const signatures = gather(this.#votes.get(sequence) ?? [], digest, group.quorum);
    if (signatures === undefined) return false;
    this.#setStable({ kind: "checkpoint", view: 0, sequence, digest, signatures });
    return true;
  }

  #setStable(certificate: Certificate): void {
    const before = this.#stable.sequence;
    this.#stable = certificate;
    for (const sequence of this.#votes.keys())
      if (sequence <= certificate.sequence) this.#votes.delete(sequence);
    for (const sequence of this.#snapshots.keys())
      if (sequence < before) this.#snapshots.delete(sequence);
  }

  #votesAt(sequence: number): (Vote | undefined)[] {
    let votes = this.#votes.get(sequence);
    if (votes === undefined) {
      votes = [];
      this.#votes.set(sequence, votes);
    }
    return votes;
  }
}
