import type { RoundVerdict } from "../../../src/federated/rounds/judge-effects.ts";
import { readRecord, signRecord } from "../../../src/federated/rounds/round-record.ts";
import type { Signer } from "../../../src/platform/signer.ts";
import type { LogEntry } from "./committee.ts";
import type { MemberLie, Stage } from "./plan.ts";

/** What a seat tells its agent. */
export interface SeatEvents {
  proposal(entry: Extract<LogEntry, { kind: "proposal" }>): void;
  ended(entry: Extract<LogEntry, { kind: "ended" }>): void;
  decided(value: Uint8Array): void;
}

/** A member's place in the committee: its copy of the order, and its votes. Both survive a restart. */
export class Seat {
  readonly #stage: Stage;
  readonly #signer: Signer;
  readonly #lie: MemberLie | undefined;
  readonly #events: SeatEvents;
  readonly #votes = new Map<string, string | undefined>();
  readonly #open = new Map<string, Extract<LogEntry, { kind: "proposal" }>>();
  #decided: Uint8Array | undefined;
  #read = 0;
  #proposed = 0;

  constructor(stage: Stage, signer: Signer, lie: MemberLie | undefined, events: SeatEvents) {
    this.#stage = stage;
    this.#signer = signer;
    this.#lie = lie;
    this.#events = events;
    this.#poll();
  }

  /** The agent begins anew: it is told again of what was decided last, and of all that is open. */
  retell(): void {
    if (this.#decided !== undefined) this.#events.decided(this.#decided);
    for (const entry of this.#open.values()) this.#events.proposal(entry);
  }

  /** @returns the proposal's id; undefined where the order can not be reached */
  propose(value: Uint8Array): string | undefined {
    const { committee } = this.#stage;
    const id = `${this.#signer.peerId}/${++this.#proposed}`;
    return committee.propose(id, value, this.#signer.peerId) ? id : undefined;
  }

  /** Whether the same is before the committee already. */
  isOpen(value: Uint8Array): boolean {
    return [...this.#open.values()].some((one) => Buffer.from(one.value).equals(value));
  }

  vote(id: string, verdict: RoundVerdict): void {
    if (this.#votes.has(id)) return;
    this.#votes.set(id, verdict === "accept" ? undefined : verdict.reject);
    this.#say(id);
  }

  #say(id: string): void {
    const { ether, committee } = this.#stage;
    ether.after(ether.between(1, 20), () => {
      if (committee.isOver(id)) return;
      if (!committee.vote(id, this.#signer.peerId, this.#votes.get(id))) this.#say(id);
    });
  }

  #poll(): void {
    const { ether, committee } = this.#stage;
    ether.after(ether.between(5, 40), () => {
      if (committee.reaches(this.#signer.peerId))
        while (this.#read < committee.log.length) this.#take(committee.log[this.#read++]!);
      this.#poll();
    });
  }

  #take(entry: LogEntry): void {
    if (entry.kind === "proposal") {
      this.#open.set(entry.id, entry);
      this.#watch(entry.id);
      if (this.#lie !== undefined) this.#lieOn(entry);
      else this.#events.proposal(entry);
      return;
    }
    const value = this.#open.get(entry.id)?.value;
    this.#open.delete(entry.id);
    this.#votes.delete(entry.id);
    if (entry.outcome === "accepted") this.#decided = value;
    this.#events.ended(entry);
    if (entry.outcome === "accepted" && value !== undefined) this.#events.decided(value);
  }

  #watch(id: string): void {
    const { ether, committee, pace } = this.#stage;
    ether.after(2 * pace.deadlineMs, () => {
      if (!committee.isOver(id) && !committee.expire(id, this.#signer.peerId)) this.#watch(id);
    });
  }

  #lieOn({ id, value }: Extract<LogEntry, { kind: "proposal" }>): void {
    const { ether, hasher } = this.#stage;
    this.vote(id, ether.chance(0.5) ? "accept" : { reject: "I do not like it" });
    if (this.#lie !== "flood") return;
    const record = readRecord(this.#signer, value);
    if (typeof record === "string" || this.#open.size > 8) return;
    const modelHash = hasher.sha256Hex(id);
    ether.after(ether.between(0, 50), () => {
      this.propose(signRecord(this.#signer, { ...record, round: record.round, modelHash }));
    });
  }
}
