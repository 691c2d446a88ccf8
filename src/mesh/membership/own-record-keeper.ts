import type { Accusation } from "../../wire/agent_mesh/v1/membership_pb.ts";
import { Occasion } from "../../wire/agent_mesh/v1/record_pb.ts";
import { compareRecords, compareVersions, type KnownRecord } from "../records/known-record.ts";
import type { LinkState } from "./links.ts";
import type { SelfRecord } from "./self-record.ts";
import type { Turn } from "./turn.ts";

/** At most two new versions a second, whatever others say: each costs the whole fleet a verification. */
const GAP_MS = 500;
/** A neighbour whose accusation is outdated gets the newer record this often at most. */
const TELL_GAP_MS = 200;

/** How often this agent had to stand up for itself; it only grows. */
export interface OwnRecordCounters {
  /** Accusations answered with a newer record. */
  refutations: number;
  /** Records of this agent's key that this start did not make: a lost disk, or a second agent with the same key. */
  foreignOwnRecords: number;
}

/** What comes of it. */
interface Host {
  /** All neighbours have to hear of it. */
  publish(turn: Turn): void;
  accused(): void;
}

/**
 * Hears what others say of this agent itself, and answers with a newer record: SWIM's incarnation numbers (Das, Gupta,
 * Motivala 2002, section 4.2), signed, so that nobody else can answer in its name.
 */
export class OwnRecordKeeper {
  readonly #self: SelfRecord;
  readonly #host: Host;
  readonly counters: OwnRecordCounters = { refutations: 0, foreignOwnRecords: 0 };
  #answeredAtMs = Number.NEGATIVE_INFINITY;
  /** When what follows is answered; infinity when there is nothing. */
  #answerAtMs = Number.POSITIVE_INFINITY;
  #foreign: KnownRecord | undefined;

  constructor(self: SelfRecord, host: Host) {
    this.#self = self;
    this.#host = host;
  }

  get nextAtMs(): number {
    return this.#answerAtMs;
  }

  tick(turn: Turn): void {
    if (this.#answerAtMs <= turn.nowMs) this.#answer(turn);
  }

  /** Somebody has a record of this agent. */
  takeRecord(turn: Turn, record: KnownRecord): void {
    const own = this.#self.record;
    if (compareVersions(record, own) < 0 || compareRecords(record, own) === 0) return;
    this.counters.foreignOwnRecords++;
    if (this.#foreign === undefined || compareVersions(record, this.#foreign) > 0)
      this.#foreign = record;
    this.#soon(turn);
  }

  /** Somebody holds this agent to be gone. */
  takeAccusation(turn: Turn, link: LinkState, accusation: Accusation): void {
    const { record } = this.#self;
    const order = compareVersions(accusation, record);
    if (order === 0) this.#soon(turn);
    if (order >= 0 || turn.nowMs - link.toldOwnAtMs < TELL_GAP_MS) return;
    link.toldOwnAtMs = turn.nowMs;
    turn.send(link.peer, undefined, [{ kind: "record", bytes: record.bytes }]);
  }

  #soon(turn: Turn): void {
    if (this.#answeredAtMs + GAP_MS <= turn.nowMs) this.#answer(turn);
    else this.#answerAtMs = this.#answeredAtMs + GAP_MS;
  }

  #answer(turn: Turn): void {
    this.#answerAtMs = Number.POSITIVE_INFINITY;
    this.#answeredAtMs = turn.nowMs;
    const foreign = this.#foreign;
    this.#foreign = undefined;
    if (foreign !== undefined) this.#self.raiseAbove(foreign);
    else {
      this.counters.refutations++;
      this.#host.accused();
      this.#self.renew(Occasion.REFUTATION);
    }
    this.#host.publish(turn);
  }
}
