import type { KeyValueStore } from "../../platform/key-value-store.ts";
import type { StateMachine } from "../ordering/state-machine.ts";
import { ascending } from "../raft/configuration.ts";
import { LogDisk } from "./log-disk.ts";
import { ReplicatedState } from "./replicated-state.ts";
import type { Roster } from "./roster.ts";

/** Before the first entry all founders hold the same snapshot: who they are, and a state in which nothing has happened. */
const FIRST = { index: 1, term: 1 } as const;

/**
 * Begins the log of a founder. All founders of a group begin with the same roster; whoever comes later begins with
 * `LogDisk.create`, and is told the rest.
 * @param group in hexadecimal digits, drawn for this group alone
 * @param machine as at first
 * @throws LostLogError when this node was in the group before @throws StoreError
 */
export async function foundLog(
  store: KeyValueStore,
  group: string,
  roster: Roster,
  machine: StateMachine,
): Promise<LogDisk> {
  const disk = await LogDisk.create(store, group);
  const state = new ReplicatedState(machine);
  state.roster = roster;
  const configuration = {
    voters: ascending(roster.keys()),
    outgoing: [],
    learners: [],
    learnersNext: [],
    autoLeave: false,
  };
  const hardState = { term: FIRST.term, vote: 0, commit: FIRST.index };
  const snapshot = { ...FIRST, configuration, data: state.snapshot() };
  await disk.write({ hardState, snapshot, durable: true });
  return disk;
}
