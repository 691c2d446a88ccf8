import { toHex } from "../../platform/hex.ts";
import type { PeerId } from "../../platform/signer.ts";
import { RecentIds } from "../ordering/recent-ids.ts";
import type { StateMachine } from "../ordering/state-machine.ts";
import type { ChangeStep } from "../raft/change.ts";
import { type Configuration, voterIds } from "../raft/configuration.ts";
import { type Command, PROPOSAL_ID_BYTES } from "./command.ts";
import { type ChangeContext, type Roster, rosterAfter, rosterJson, rosterOf } from "./roster.ts";

/** A proposal that was made again is known for this many further ones, the same number at every member. */
const RECENT_IDS_MAX = 8_192;
const LENGTH_BYTES = 4;

interface Head {
  readonly roster: Roster;
  readonly nextNumber: number;
  readonly recent: string;
  /** Where the application's state begins. */
  readonly end: number;
}

/** What all members of a group hold alike: the application's state, who they are, and which proposals were decided. */
export class ReplicatedState {
  readonly #machine: StateMachine;
  readonly #recent = new RecentIds(RECENT_IDS_MAX);
  #roster: Roster = new Map();
  #voters: readonly PeerId[] = [];
  #nextNumber = 1;

  constructor(machine: StateMachine) {
    this.#machine = machine;
  }

  get roster(): Roster {
    return this.#roster;
  }

  /** The least number that no member ever had. */
  get nextNumber(): number {
    return this.#nextNumber;
  }

  /** @returns what the proposer is told; undefined where the same proposal was decided before */
  apply({ id, value }: Command): Uint8Array | undefined {
    return this.decidedAnew(id) ? this.#machine.apply(value) : undefined;
  }

  /** Takes note of a proposal. @returns false when it was decided before */
  decidedAnew(id: Uint8Array): boolean {
    return this.#recent.add(toHex(id));
  }

  /** @returns why a change of members can not be made, for reasons that the core does not know */
  faultOf(steps: readonly ChangeStep[], { participants }: ChangeContext): string | undefined {
    let next = this.#nextNumber;
    for (const { kind, id } of steps) {
      if (kind === "remove" || kind === "update" || id === 0) continue;
      const known = this.#roster.get(id);
      const participant = participants.get(id);
      if (known === undefined && participant === undefined) return `nobody is number ${id}`;
      if (known !== undefined) {
        if (kind === "add-learner") return `number ${id} belongs to the group already`;
        if (participant !== undefined && participant.peer !== known.peer)
          return `number ${id} is another peer`;
        continue;
      }
      if (id !== next++) return "the ticket is out of date: the number was given to another member";
      for (const { peer } of this.#roster.values())
        if (peer === participant?.peer) return "the peer belongs to the group under another number";
    }
    return undefined;
  }

  /** The group has another configuration now. @param added what the change brought along */
  become(configuration: Configuration, added: Roster): void {
    this.#roster = rosterAfter(this.#roster, added, configuration);
    for (const id of this.#roster.keys()) this.#nextNumber = Math.max(this.#nextNumber, id + 1);
    const before = this.#voters;
    this.#takeVoters(configuration);
    const isSame =
      before.length === this.#voters.length &&
      before.every((peer, at) => peer === this.#voters[at]);
    if (!isSame) this.#machine.members(this.#voters);
  }

  /** @returns everything: the length of a head in JSON, the head, the application's state */
  snapshot(): Uint8Array {
    const head = new TextEncoder().encode(
      JSON.stringify({
        roster: rosterJson(this.#roster),
        nextNumber: this.#nextNumber,
        recent: this.#recent.list().join(""),
      }),
    );
    const state = this.#machine.snapshot();
    const bytes = new Uint8Array(LENGTH_BYTES + head.length + state.length);
    new DataView(bytes.buffer).setUint32(0, head.length);
    bytes.set(head, LENGTH_BYTES);
    bytes.set(state, LENGTH_BYTES + head.length);
    return bytes;
  }

  /**
   * Takes over what {@link snapshot} gave.
   * @param configuration of then @throws Error when it is no such thing
   */
  restore(bytes: Uint8Array, configuration: Configuration): void {
    const head = headOf(bytes);
    if (head === undefined) throw new Error("what is restored is no snapshot of a group");
    this.#roster = head.roster;
    this.#nextNumber = head.nextNumber;
    this.#recent.replace(head.recent.match(new RegExp(`.{${2 * PROPOSAL_ID_BYTES}}`, "g")) ?? []);
    this.#takeVoters(configuration);
    this.#machine.restore(bytes.subarray(head.end));
  }

  #takeVoters(configuration: Configuration): void {
    const peers = voterIds(configuration).flatMap((id) => this.#roster.get(id)?.peer ?? []);
    this.#voters = peers.toSorted();
  }
}

/** @returns whether the bytes can be restored, as far as this file knows what is in them */
export function isReplicatedState(bytes: Uint8Array): boolean {
  return headOf(bytes) !== undefined;
}

function headOf(bytes: Uint8Array): Head | undefined {
  if (bytes.length < LENGTH_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = LENGTH_BYTES + view.getUint32(0);
  if (end > bytes.length) return undefined;
  try {
    const text = new TextDecoder().decode(bytes.subarray(LENGTH_BYTES, end));
    const read = JSON.parse(text) as Record<string, unknown>;
    const { nextNumber, recent } = read;
    const roster = rosterOf(read["roster"]);
    if (roster === undefined || typeof recent !== "string") return undefined;
    if (typeof nextNumber !== "number" || !Number.isSafeInteger(nextNumber)) return undefined;
    return { roster, nextNumber, recent, end };
  } catch {
    // Whatever JSON did not like about it.
    return undefined;
  }
}
