import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { KnownRecord } from "../records/known-record.ts";
import { TableDigest } from "./digest.ts";
import type { Member, MemberCounts, MemberState } from "./member.ts";

/**
 * Stands for a moment before all others, twelve days before the clock began. −∞ would say it better, but a field that once held it
 * is one object more for V8, two in each of ten thousand entries.
 */
const LONG_AGO_MS = -(2 ** 30);

/** A member as the table keeps it. Only the table writes. */
interface Entry {
  record: KnownRecord;
  state: MemberState;
  sinceMs: number;
  heardOfAtMs: number;
  recordAtMs: number;
  /** Until when it was alive, as seen from here; meaningless while it is. */
  aliveUntilMs: number;
  /** Its place in the list of its kind. */
  slot: number;
}

/** Members that count as part of the fleet now: they are in the digest, and are listed to others. */
export function isLiving(state: MemberState): boolean {
  return state === "alive" || state === "suspect";
}

/**
 * Who is known, this agent included, with what is kept up to date beside it: digest, counts, and a list for each of
 * living, dead and left, so that one can be drawn at random without looking at all.
 */
export class MemberTable {
  readonly #self: PeerId;
  readonly membersMax: number;
  readonly #entries = new Map<PeerId, Entry>();
  /** Living ones without this agent. */
  readonly #living: Entry[] = [];
  readonly #dead: Entry[] = [];
  readonly #left: Entry[] = [];
  readonly #suspects = new Set<Entry>();
  readonly digest = new TableDigest();
  /** No living one was heard of before that: most who ask for a place can be told no without looking at all. */
  #heardOfSinceMs = Number.POSITIVE_INFINITY;

  constructor(self: PeerId, membersMax: number) {
    this.#self = self;
    this.membersMax = membersMax;
  }

  get size(): number {
    return this.#entries.size;
  }

  get full(): boolean {
    return this.#entries.size >= this.membersMax;
  }

  /** Living members, this agent included. */
  get livingCount(): number {
    return this.#living.length + (this.#entries.has(this.#self) ? 1 : 0);
  }

  get deadCount(): number {
    return this.#dead.length;
  }

  counts(): MemberCounts {
    const suspect = this.#suspects.size;
    return {
      alive: this.livingCount - suspect,
      suspect,
      dead: this.#dead.length,
      left: this.#left.length,
    };
  }

  get(peer: PeerId): Member | undefined {
    return this.#entries.get(peer);
  }

  all(): MapIterator<Member> {
    return this.#entries.values();
  }

  /** Living members without this agent, in no order. */
  living(): readonly Member[] {
    return this.#living;
  }

  randomLiving(random: Random): Member | undefined {
    return this.#living[Math.floor(random.next() * this.#living.length)];
  }

  randomDead(random: Random): Member | undefined {
    return this.#dead[Math.floor(random.next() * this.#dead.length)];
  }

  /**
   * Adds a member that is not there yet. The caller has made room.
   * @param ageMs when it came in a comparison of tables: how long ago the teller heard of it
   */
  add(record: KnownRecord, state: MemberState, nowMs: number, ageMs?: number): Member {
    const entry: Entry = {
      record,
      state,
      sinceMs: nowMs,
      heardOfAtMs: nowMs - (ageMs ?? 0),
      recordAtMs: ageMs === undefined ? nowMs : LONG_AGO_MS,
      aliveUntilMs: LONG_AGO_MS,
      slot: 0,
    };
    this.#entries.set(record.peerId, entry);
    this.#list(entry);
    return entry;
  }

  /**
   * Puts another record, another state, or both in the place of what is known of a member.
   * @param to with `isNews` false where a record came in a comparison of tables
   */
  change(
    peer: PeerId,
    nowMs: number,
    to: { record?: KnownRecord; state?: MemberState; isNews?: boolean },
  ): void {
    const entry = this.#entries.get(peer);
    if (entry === undefined) return;
    const { record = entry.record, state = entry.state } = to;
    this.#unlist(entry);
    if (state !== entry.state) {
      if (entry.state === "alive") entry.aliveUntilMs = nowMs;
      entry.sinceMs = nowMs;
    }
    if (record !== entry.record) entry.recordAtMs = to.isNews === false ? LONG_AGO_MS : nowMs;
    entry.record = record;
    entry.state = state;
    this.#list(entry);
  }

  /** It gave a sign of life at that time. */
  heardOf(peer: PeerId, atMs: number): void {
    const entry = this.#entries.get(peer);
    if (entry !== undefined && entry.heardOfAtMs < atMs) entry.heardOfAtMs = atMs;
  }

  forget(peer: PeerId): void {
    const entry = this.#entries.get(peer);
    if (entry === undefined) return;
    this.#unlist(entry);
    this.#entries.delete(peer);
  }

  /**
   * @param unheardBeforeMs living ones that were heard of since then do not give way
   * @returns who gives way first: gone for longest, else not heard of for longest; never one that is `kept`
   */
  leastWanted(kept: (peer: PeerId) => boolean, unheardBeforeMs: number): Member | undefined {
    const gone =
      oldest(this.#left, (entry) => entry.sinceMs, kept) ??
      oldest(this.#dead, (entry) => entry.sinceMs, kept);
    if (gone !== undefined) return gone;
    if (this.#heardOfSinceMs >= unheardBeforeMs) return undefined;
    this.#heardOfSinceMs = this.#living.reduce(
      (least, { heardOfAtMs }) => Math.min(least, heardOfAtMs),
      Number.POSITIVE_INFINITY,
    );
    const living = oldest(this.#living, (entry) => entry.heardOfAtMs, kept);
    return living !== undefined && living.heardOfAtMs < unheardBeforeMs ? living : undefined;
  }

  /** Dead members and those that left, since before that time. */
  goneSinceBefore(ms: number): readonly Member[] {
    return [...this.#dead, ...this.#left].filter(({ sinceMs }) => sinceMs < ms);
  }

  /**
   * @param sinceMs how far back a member must have been alive to count
   * @returns of the members that were alive at some time since, without this agent and without those that left, the
   *   share that is suspect or dead now; 0 when there are none
   */
  partitionScore(sinceMs: number): number {
    let lost = 0;
    for (const { aliveUntilMs } of this.#suspects) if (aliveUntilMs >= sinceMs) lost++;
    for (const { aliveUntilMs } of this.#dead) if (aliveUntilMs >= sinceMs) lost++;
    const here = this.#living.length - this.#suspects.size;
    return lost === 0 ? 0 : lost / (lost + here);
  }

  #list(entry: Entry): void {
    if (isLiving(entry.state)) this.digest.add(entry.record.hash, entry.record);
    if (entry.state === "suspect") this.#suspects.add(entry);
    const list = this.#listOf(entry);
    if (list === undefined) return;
    if (list === this.#living)
      this.#heardOfSinceMs = Math.min(this.#heardOfSinceMs, entry.heardOfAtMs);
    entry.slot = list.length;
    list.push(entry);
  }

  #unlist(entry: Entry): void {
    if (isLiving(entry.state)) this.digest.remove(entry.record.hash, entry.record);
    this.#suspects.delete(entry);
    const list = this.#listOf(entry);
    const last = list?.pop();
    if (list === undefined || last === undefined || last === entry) return;
    list[entry.slot] = last;
    last.slot = entry.slot;
  }

  #listOf(entry: Entry): Entry[] | undefined {
    if (entry.record.peerId === this.#self) return undefined;
    if (entry.state === "dead") return this.#dead;
    return entry.state === "left" ? this.#left : this.#living;
  }
}

function oldest(
  entries: readonly Entry[],
  age: (entry: Entry) => number,
  kept: (peer: PeerId) => boolean,
): Entry | undefined {
  let found: Entry | undefined;
  for (const entry of entries)
    if ((found === undefined || age(entry) < age(found)) && !kept(entry.record.peerId))
      found = entry;
  return found;
}
