import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { Sample, SampleWant } from "../../wire/agent_mesh/v1/membership_pb.ts";
import { AGE_MAX_S, ageS } from "./age.ts";
import { type News, newsBytes, SAMPLE_WANT_MAX } from "./codec.ts";
import { FleetSample, type FleetSize, SAMPLE_KEPT_MS } from "./fleet-sample.ts";
import type { MembershipPace } from "./options.ts";
import type { SelfRecord } from "./self-record.ts";
import type { MemberTable } from "./table.ts";
import { FULL_FACTOR, PAGE_BYTES_MAX } from "./table-sync.ts";
import type { Turn } from "./turn.ts";

/** After somebody new the next exchange comes this soon, so that all have the same sample after a few. */
const FRUITFUL_GAP_MS = 5_000;
/** Neighbours that are told soon of somebody new: of one each, one in three would hear of it with the next exchange only. */
const FRUITFUL_TELLS = 4;
/** Signs of life are carried over from the table no more often: what hangs on them are seconds of age, and an hour. */
const FRESHEN_GAP_MS = 5_000;

/**
 * Keeps the sample of a fleet that is larger than the table: neighbours compare theirs, as seldom as they compare such
 * tables, and fetch the records of those they lack. Places travel, 6 bytes for each agent; a record only once to each.
 */
export class SampleSync {
  readonly #table: MemberTable;
  readonly #self: SelfRecord;
  readonly #random: Random;
  readonly #asked: (peer: PeerId, records: number) => void;
  readonly #sample = new FleetSample();
  #nextAtMs = 0;
  #tellsLeft = 0;
  #freshAtMs = Number.NEGATIVE_INFINITY;

  /** @param asked hears how many records a neighbour is asked for */
  constructor(
    table: MemberTable,
    self: SelfRecord,
    random: Random,
    startMs: number,
    asked: (peer: PeerId, records: number) => void,
  ) {
    this.#table = table;
    this.#self = self;
    this.#random = random;
    this.#asked = asked;
    this.#sample.offer(self.record, startMs);
  }

  /** Never, while everybody is in the table. */
  get nextAtMs(): number {
    return this.#table.full ? this.#nextAtMs : Number.POSITIVE_INFINITY;
  }

  /** How many agents there are: counted while the table holds all, estimated else. */
  size(nowMs: number): FleetSize {
    const { livingCount, full } = this.#table;
    if (!full) return { agents: livingCount, relativeError: 0 };
    this.#freshen(nowMs);
    const estimate = this.#sample.estimate();
    return estimate.agents < livingCount ? { ...estimate, agents: livingCount } : estimate;
  }

  /** A uniform sample of the fleet. */
  peers(nowMs: number): readonly PeerId[] {
    this.#freshen(nowMs);
    return this.#sample.peers();
  }

  /** @param draw a neighbour at random */
  tick(turn: Turn, { syncIntervalMs }: MembershipPace, draw: () => PeerId | undefined): void {
    if (this.nextAtMs > turn.nowMs) return;
    this.#tellsLeft = Math.max(0, this.#tellsLeft - 1);
    const jitter = 0.75 + 0.5 * this.#random.next();
    const gapMs = this.#tellsLeft > 0 ? FRUITFUL_GAP_MS : FULL_FACTOR * syncIntervalMs;
    this.#nextAtMs = turn.nowMs + gapMs * jitter;
    const peer = draw();
    if (peer !== undefined) this.#tell(turn, peer, false);
  }

  /** A neighbour told its sample: this agent's own is the answer where it holds more. */
  take(turn: Turn, from: PeerId, { places, agesS, answer }: Sample): void {
    this.#freshen(turn.nowMs);
    const wanted: number[] = [];
    places.forEach((place, at) => {
      const atMs = turn.nowMs - 1_000 * (agesS[at] ?? AGE_MAX_S);
      if (atMs < turn.nowMs - SAMPLE_KEPT_MS) return;
      if (this.#sample.heardOf(place, atMs) && wanted.length < SAMPLE_WANT_MAX) wanted.push(place);
    });
    if (wanted.length > 0) {
      this.#asked(from, wanted.length);
      turn.send(from, { case: "sampleWant", value: { places: wanted } });
    }
    if (!answer && this.#sample.hasMoreThan(places)) this.#tell(turn, from, true);
  }

  /** A neighbour wants records. Those that do not fit into a message it asks for next time. */
  want(turn: Turn, from: PeerId, { places }: SampleWant): void {
    const news: News[] = [];
    const agesS: number[] = [];
    let bytes = 0;
    for (const place of places) {
      const found = this.#sample.get(place);
      if (found === undefined) continue;
      const one: News = { kind: "record", bytes: found.record.bytes };
      bytes += newsBytes(one);
      if (bytes > PAGE_BYTES_MAX) break;
      news.push(one);
      agesS.push(ageS(found.heardOfAtMs, turn.nowMs));
    }
    if (news.length > 0)
      turn.send(from, { case: "recordPage", value: { last: true, agesS } }, news);
  }

  /** Somebody showed a record, whether or not there is room for it in the table. */
  offer(record: Parameters<FleetSample["offer"]>[0], heardOfAtMs: number, nowMs: number): void {
    if (record.leaving) {
      this.#sample.remove(record);
      return;
    }
    if (heardOfAtMs < nowMs - SAMPLE_KEPT_MS || !this.#sample.offer(record, heardOfAtMs)) return;
    // While everybody is in the table, tables are compared, and samples need not be.
    if (!this.#table.full) return;
    this.#tellsLeft = FRUITFUL_TELLS;
    const gapMs = FRUITFUL_GAP_MS * (1 + this.#random.next());
    this.#nextAtMs = Math.min(this.#nextAtMs, nowMs + gapMs);
  }

  /** What the table knows meanwhile counts here too; who was not heard of goes. */
  #freshen(nowMs: number): void {
    this.#sample.offer(this.#self.record, nowMs);
    if (nowMs - this.#freshAtMs < FRESHEN_GAP_MS) return;
    this.#freshAtMs = nowMs;
    this.#sample.refresh((peer) => this.#table.get(peer)?.heardOfAtMs);
    this.#sample.expire(nowMs - SAMPLE_KEPT_MS);
  }

  #tell(turn: Turn, to: PeerId, answer: boolean): void {
    this.#freshen(turn.nowMs);
    const agesS = this.#sample.heardOfTimesMs().map((atMs) => ageS(atMs, turn.nowMs));
    turn.send(to, {
      case: "sample",
      value: { places: this.#sample.places().slice(), agesS, answer },
    });
  }
}
