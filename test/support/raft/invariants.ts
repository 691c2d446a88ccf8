import { isChangeKind } from "../../../src/consensus/raft/change.ts";
import type { Configuration } from "../../../src/consensus/raft/configuration.ts";
import type { Entry } from "../../../src/consensus/raft/entry.ts";
import type { Message } from "../../../src/consensus/raft/message.ts";
import type { RaftNode } from "../../../src/consensus/raft/node.ts";
import type { Role } from "../../../src/consensus/raft/state.ts";
import { type DurableTerm, QuorumRules } from "./quorum-rules.ts";

interface Written {
  readonly text: string;
  readonly previousTerm: number | undefined;
}

interface Seen {
  readonly term: number;
  readonly commit: number;
  readonly role: Role;
}

/**
 * Checks what Raft promises (Ongaro and Ousterhout 2014, figure 3) while it is told what nodes do. Everything throws an
 * error that names the property.
 */
export class RaftInvariants {
  readonly #leaders = new Map<number, number>();
  readonly #votes = new Map<string, number>();
  readonly #written = new Map<string, Written>();
  readonly #committed: (number | undefined)[] = [];
  readonly #digests: (string | undefined)[] = [""];
  readonly #applied: (string | undefined)[] = [];
  readonly #seen = new Map<number, Seen>();
  /** The last change of members in each term. */
  readonly #changed = new Map<number, number>();
  readonly #positions = new Map<number, number>();
  readonly #reads = new Map<string, number>();
  readonly #rules: QuorumRules;
  #commitMax = 0;
  #readsAnswered = 0;

  constructor(durableTerm: DurableTerm) {
    this.#rules = new QuorumRules(durableTerm);
  }

  /** How much happened, so that a test can tell that it tested something. */
  get counts(): { readonly terms: number; readonly votes: number; readonly reads: number } {
    return { terms: this.#leaders.size, votes: this.#votes.size, reads: this.#readsAnswered };
  }

  /** The greatest index that any node knew to be committed. */
  get commitMax(): number {
    return this.#commitMax;
  }

  /** A node wrote entries behind one of `previousTerm`. @param previousTerm `undefined` when that is compacted */
  wrote(entries: readonly Entry[], previousTerm: number | undefined): void {
    let previous = previousTerm;
    for (const entry of entries) {
      const key = `${entry.index}/${entry.term}`;
      const written = { text: textOf(entry), previousTerm: previous };
      const before = this.#written.get(key);
      this.#written.set(key, before?.previousTerm === undefined ? written : before);
      previous = entry.term;
      if (before === undefined) {
        if (isChangeKind(entry.kind)) this.#changes(entry);
        continue;
      }
      const isSame =
        before.text === written.text &&
        (before.previousTerm === written.previousTerm ||
          before.previousTerm === undefined ||
          written.previousTerm === undefined);
      if (!isSame) throw new Error(`log matching: two entries ${key}`);
    }
  }

  /** A message left a node. */
  sent(message: Message): void {
    if (message.kind !== "vote-response" || message.reject) return;
    const key = voteKey(message.from, message.term);
    const before = this.#votes.get(key) ?? message.to;
    if (before !== message.to)
      throw new Error(`one vote: ${key} voted for ${before} and ${message.to}`);
    this.#votes.set(key, message.to);
  }

  /** Something happened to a node. */
  look(node: RaftNode): void {
    const { id, role, term, commit, configuration } = node.status();
    const before = this.#seen.get(id);
    if (before !== undefined && (term < before.term || commit < before.commit))
      throw new Error(`monotonic: node ${id} went back from ${before.term}, ${before.commit}`);
    this.#seen.set(id, { term, commit, role });
    for (let index = (before?.commit ?? 0) + 1; index <= commit; index++)
      this.#noteCommitted(index, node.termAt(index));
    this.#commitMax = Math.max(this.#commitMax, commit);
    if (role !== "leader") return;
    this.#lookAtLeader(node, id, term, configuration);
    // A candidate learns of commits from those who vote for it.
    if (before?.role === "leader" && before.term === term && commit > before.commit)
      this.#rules.committed(id, configuration, term, { index: commit, term: node.termAt(commit) });
  }

  /** A node applied an entry. */
  applied(id: number, entry: Entry): string {
    const { index } = entry;
    const position = (this.#positions.get(id) ?? 0) + 1;
    if (position !== index)
      throw new Error(`state machine safety: node ${id} applied ${index}, not ${position}`);
    this.#positions.set(id, index);
    const text = textOf(entry);
    const before = this.#applied[index] ?? text;
    if (before !== text)
      throw new Error(`state machine safety: ${index} is ${before} and, on node ${id}, ${text}`);
    this.#applied[index] = text;
    this.#digests[index] ??= `${this.digestAt(index - 1).slice(-40)}|${text}`;
    return this.digestAt(index);
  }

  /** A node took the state of a snapshot, or began again with it. */
  restored(id: number, index: number, digest: string): void {
    if (this.digestAt(index) !== digest)
      throw new Error(`state machine safety: node ${id} got another state for ${index}`);
    this.#positions.set(id, index);
  }

  /** A node begins again from what is durable. */
  restarted(id: number): void {
    this.#seen.delete(id);
  }

  /** What the state is after an entry. */
  digestAt(index: number): string {
    return this.#digests[index] ?? "";
  }

  readAsked(key: string): void {
    this.#reads.set(key, this.#commitMax);
  }

  readAnswered(key: string, index: number): void {
    this.#readsAnswered++;
    const committed = this.#reads.get(key);
    if (committed === undefined || index >= committed) return;
    throw new Error(`linearizable reads: ${key} at ${index}, when ${committed} was committed`);
  }

  /** One is begun when the one before it is committed (Ongaro 2014, section 4.1). */
  #changes({ index, term }: Entry): void {
    const before = this.#changed.get(term) ?? 0;
    if (before > this.#commitMax && before < index)
      throw new Error(`one change: ${index} of term ${term} comes upon ${before}, not committed`);
    this.#changed.set(term, Math.max(before, index));
  }

  #noteCommitted(index: number, term: number | undefined): void {
    if (term === undefined) return;
    const before = this.#committed[index] ?? term;
    if (before !== term)
      throw new Error(`commit safety: ${index} is committed with terms ${before} and ${term}`);
    this.#committed[index] = term;
  }

  #lookAtLeader(node: RaftNode, id: number, term: number, members: Configuration): void {
    const leader = this.#leaders.get(term);
    if (leader === id) return;
    if (leader !== undefined)
      throw new Error(`election safety: ${leader} and ${id} lead term ${term}`);
    this.#leaders.set(term, id);
    this.#rules.elected(id, members, term, (voter) => this.#votes.get(voteKey(voter, term)) === id);
    for (const [index, committed] of this.#committed.entries()) {
      const own = node.termAt(index);
      const isMissing = own === undefined && index > node.status().commit;
      if (committed !== undefined && (isMissing || (own !== undefined && own !== committed)))
        throw new Error(`leader completeness: leader ${id} of term ${term} lacks ${index}`);
    }
  }
}

function voteKey(voter: number, term: number): string {
  return `${voter} in term ${term}`;
}

function textOf({ index, term, kind, data }: Entry): string {
  return `${index}/${term} ${kind} ${Buffer.from(data).toString("hex")}`;
}
