import type { KeyValueStore, StoreOperation } from "../../platform/key-value-store.ts";
import type { PeerId } from "../../platform/signer.ts";
import { LostLogError } from "../ordering/lost-log.ts";
import type { StateMachine } from "../ordering/state-machine.ts";
import { ascending } from "../raft/configuration.ts";
import { type Identity, isIdentity, LOG_NUMBERS } from "./identity.ts";
import { checkUnused, LogDisk, readJson } from "./log-disk.ts";
import type { Greeting } from "./message-codec.ts";
import { ReplicatedState } from "./replicated-state.ts";
import type { Roster } from "./roster.ts";

/** Before the first entry all founders hold the same snapshot: who they are, and a state in which nothing has happened. */
const FIRST = { index: 1, term: 1 } as const;

interface FoundingRecord {
  readonly identity: Identity;
  readonly peers: readonly PeerId[];
  readonly logs: readonly number[];
  /** The log was begun: it is there, or lost. */
  readonly founded: boolean;
}

/**
 * The founding of a group: nobody promises anything before every founder has written down which log is its own. Whoever
 * starts again with an empty disk is then told so by any of the others, and is not taken for who has voted before.
 */
export class Founding {
  readonly identity: Identity;
  readonly #store: KeyValueStore;
  readonly #group: string;
  /** In the order of their numbers. */
  readonly #peers: readonly PeerId[];
  /** Those that are on disk. Each is learnt once. */
  #logs: readonly number[];
  /** Who has said that it knows this member's log. */
  readonly #knownBy = new Set<number>();
  readonly #heard = new Map<number, number>();
  #writing = false;
  #founded: boolean;

  private constructor(
    store: KeyValueStore,
    group: string,
    { identity, peers, logs, founded }: FoundingRecord,
  ) {
    this.#store = store;
    this.#group = group;
    this.identity = identity;
    this.#peers = peers;
    this.#logs = logs;
    this.#founded = founded;
    this.#knownBy.add(identity.number);
  }

  /**
   * Begins as a founder. Durable when resolved.
   * @param peers all founders, in an order that is the same for all
   * @throws LostLogError when part of an earlier log is there @throws StoreError
   */
  static async begin(
    store: KeyValueStore,
    group: string,
    peers: readonly PeerId[],
    identity: Identity,
  ): Promise<Founding> {
    await checkUnused(store, group);
    const logs = peers.map((_, at) => (at + 1 === identity.number ? identity.log : 0));
    const record = { identity, peers, logs, founded: false };
    await store.write([operationOf(store, group, record)], { durable: true });
    return new Founding(store, group, record);
  }

  /**
   * @returns how far the founding had come; undefined for who was not there
   * @throws LostLogError when it can not be read @throws StoreError
   */
  static async open(store: KeyValueStore, group: string): Promise<Founding | undefined> {
    const stored = await store.get(keyOf(group));
    if (stored === undefined) return undefined;
    const record = recordOf(readJson(stored));
    if (record === undefined) throw new LostLogError("who the founders are can not be read");
    if (record.generation !== store.generation)
      throw new LostLogError("the store was repaired since, and may have lost entries");
    return new Founding(store, group, record);
  }

  get peers(): readonly PeerId[] {
    return this.#peers;
  }

  /** By number of founder; 0 where nobody was heard. */
  get logs(): readonly number[] {
    return this.#logs;
  }

  /** It is over: the member has its log. */
  get isFounded(): boolean {
    return this.#founded;
  }

  /** Every founder's log is known here, and every founder knows this one's. */
  get isComplete(): boolean {
    return this.#knownBy.size === this.#peers.length && this.#logs.every((log) => log !== 0);
  }

  /** Whether the peer is that founder. */
  isFounder(peer: PeerId, number: number): boolean {
    return this.#peers[number - 1] === peer;
  }

  /**
   * Takes what a founder knows.
   * @returns whether it knows another log than this one under this member's number
   * @throws StoreError, by rejecting, when it can not be written down; it will be said again
   */
  async hear({ from, log, logs }: Greeting): Promise<boolean> {
    const known = this.#logs[from - 1];
    if (known === undefined || logs.length !== this.#peers.length) return false;
    if (known === 0) {
      this.#heard.set(from, this.#heard.get(from) ?? log);
      await this.#write();
    }
    // Who speaks with another log has nothing to say on anybody's.
    if (this.#logs[from - 1] !== log) return false;
    const said = logs[this.identity.number - 1] ?? 0;
    if (said === this.identity.log) this.#knownBy.add(from);
    return said !== 0 && said !== this.identity.log;
  }

  /** @returns the log of this founder, once {@link isComplete} @throws StoreError */
  async found(machine: StateMachine): Promise<LogDisk> {
    const roster = new Map(
      this.#peers.map((peer, at) => [at + 1, { peer, log: this.#logs[at] ?? 0 }]),
    );
    const also = [this.#operation(this.#logs, true)];
    const disk = await foundLog(this.#store, this.#group, this.identity, roster, machine, also);
    this.#founded = true;
    return disk;
  }

  #operation(logs: readonly number[], founded: boolean): StoreOperation {
    const record = { identity: this.identity, peers: this.#peers, logs, founded };
    return operationOf(this.#store, this.#group, record);
  }

  async #write(): Promise<void> {
    if (this.#writing) return;
    this.#writing = true;
    try {
      while (this.#heard.size > 0) {
        const heard = new Map(this.#heard);
        const logs = this.#logs.map((log, at) => (log === 0 ? (heard.get(at + 1) ?? 0) : log));
        await this.#store.write([this.#operation(logs, this.#founded)], {
          durable: true,
          ifGeneration: this.#store.generation,
        });
        this.#logs = logs;
        for (const number of heard.keys()) this.#heard.delete(number);
      }
    } finally {
      this.#writing = false;
    }
  }
}

/**
 * Writes the log of a founder: all of them begin with the same.
 * @param machine as at first @param also what is written with it @throws StoreError
 */
export async function foundLog(
  store: KeyValueStore,
  group: string,
  identity: Identity,
  roster: Roster,
  machine: StateMachine,
  also: readonly StoreOperation[] = [],
): Promise<LogDisk> {
  const state = new ReplicatedState(machine);
  const configuration = {
    voters: ascending(roster.keys()),
    outgoing: [],
    learners: [],
    learnersNext: [],
    autoLeave: false,
  };
  state.become(configuration, roster);
  const hardState = { term: FIRST.term, vote: 0, commit: FIRST.index };
  const snapshot = { ...FIRST, configuration, data: state.snapshot() };
  return LogDisk.begin(
    store,
    group,
    { ...identity, sponsors: new Map() },
    { hardState, snapshot },
    also,
  );
}

function keyOf(group: string): string {
  return `c/${group}/f`;
}

function operationOf(
  { generation }: KeyValueStore,
  group: string,
  record: FoundingRecord,
): StoreOperation {
  const value = new TextEncoder().encode(JSON.stringify({ ...record, generation }));
  return { type: "put", key: keyOf(group), value };
}

function recordOf(value: unknown): (FoundingRecord & { readonly generation: number }) | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { identity, peers, logs, founded, generation } = value as Record<string, unknown>;
  if (!isIdentity(identity) || typeof generation !== "number") return undefined;
  if (!Array.isArray(peers) || !Array.isArray(logs)) return undefined;
  if (!peers.every((peer): peer is PeerId => typeof peer === "string")) return undefined;
  if (!logs.every(isLogOrNone) || logs.length !== peers.length) return undefined;
  return { identity, peers, logs, founded: founded === true, generation };
}

function isLogOrNone(log: unknown): log is number {
  return typeof log === "number" && Number.isSafeInteger(log) && log >= 0 && log < LOG_NUMBERS;
}
