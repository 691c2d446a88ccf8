import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";
import { WANT_MEMBERS_MAX } from "./codec.ts";
import type { MemberTable } from "./table.ts";
import type { Turn } from "./turn.ts";

/** Between two questions to neighbours, at first, and where nobody knows them for long: each time twice as much. */
const FIRST_GAP_MS = 1_000;
const GAP_MAX_MS = 60_000;

/**
 * Members that everybody has to know, also in a fleet that is larger than the tables: those that decide for it. They keep their place in a
 * full table, and neighbours are asked for those that are missing. As all seek the same ones, whoever has found one answers others,
 * so that a record gets to everybody in as many steps as gossip takes, and what happens to its member is told as in a small fleet.
 */
export class Sought {
  readonly #table: MemberTable;
  readonly #random: Random;
  #peers: ReadonlySet<PeerId> = new Set();
  #nextAtMs = Number.POSITIVE_INFINITY;
  #gapMs = FIRST_GAP_MS;

  constructor(table: MemberTable, random: Random) {
    this.#table = table;
    this.#random = random;
  }

  /** Whether it keeps its place. */
  has(peer: PeerId): boolean {
    return this.#peers.has(peer);
  }

  /** Infinity while none is missing. While everybody has room nobody is asked: what neighbours know comes by itself. */
  get nextAtMs(): number {
    return this.#table.full ? this.#nextAtMs : Number.POSITIVE_INFINITY;
  }

  /** @param peers in place of those before; of more than half a table the last ones are left out */
  set(peers: Iterable<PeerId>, nowMs: number): void {
    const most = Math.min(WANT_MEMBERS_MAX, Math.floor(this.#table.membersMax / 2));
    this.#peers = new Set([...peers].slice(0, most));
    this.#soon(nowMs);
  }

  /** Somebody was forgotten. */
  forgot(peer: PeerId, nowMs: number): void {
    if (this.#peers.has(peer)) this.#soon(nowMs);
  }

  /** @param draw a neighbour at random */
  tick(turn: Turn, draw: () => PeerId | undefined): void {
    if (this.nextAtMs > turn.nowMs) return;
    const missing = [...this.#peers].filter((peer) => this.#table.get(peer) === undefined);
    if (missing.length === 0) {
      this.#nextAtMs = Number.POSITIVE_INFINITY;
      return;
    }
    this.#nextAtMs = turn.nowMs + this.#gapMs * (0.75 + 0.5 * this.#random.next());
    this.#gapMs = Math.min(GAP_MAX_MS, 2 * this.#gapMs);
    const peer = draw();
    if (peer !== undefined) turn.send(peer, { case: "want", value: { peers: missing } });
  }

  #soon(nowMs: number): void {
    this.#gapMs = FIRST_GAP_MS;
    this.#nextAtMs = Math.min(this.#nextAtMs, nowMs);
  }
}
