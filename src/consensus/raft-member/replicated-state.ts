import { toHex } from "../../platform/hex.ts";
import type { StateMachine } from "../ordering/state-machine.ts";
import { type Command, PROPOSAL_ID_BYTES } from "./command.ts";
import { type Roster, rosterOf } from "./roster.ts";

/** A proposal that was made again is known for this many further ones, the same number at every member. */
const RECENT_IDS_MAX = 8_192;
const LENGTH_BYTES = 4;

/** What all members of a group hold alike: the application's state, who they are, and which proposals were decided. */
export class ReplicatedState {
  readonly #machine: StateMachine;
  /** Oldest first. */
  #recent = new Set<string>();
  roster: Roster = new Map();

  constructor(machine: StateMachine) {
    this.#machine = machine;
  }

  /** @returns what the proposer is told; undefined where the same proposal was decided before */
  apply({ id, value }: Command): Uint8Array | undefined {
    return this.decidedAnew(id) ? this.#machine.apply(value) : undefined;
  }

  /** Takes note of a proposal. @returns false when it was decided before */
  decidedAnew(id: Uint8Array): boolean {
    const key = toHex(id);
    if (this.#recent.has(key)) return false;
    this.#recent.add(key);
    if (this.#recent.size > RECENT_IDS_MAX)
      for (const oldest of this.#recent) {
        this.#recent.delete(oldest);
        break;
      }
    return true;
  }

  /** @returns everything: the length of a head in JSON, the head, the application's state */
  snapshot(): Uint8Array {
    const head = new TextEncoder().encode(
      JSON.stringify({ roster: [...this.roster], recent: [...this.#recent].join("") }),
    );
    const state = this.#machine.snapshot();
    const bytes = new Uint8Array(LENGTH_BYTES + head.length + state.length);
    new DataView(bytes.buffer).setUint32(0, head.length);
    bytes.set(head, LENGTH_BYTES);
    bytes.set(state, LENGTH_BYTES + head.length);
    return bytes;
  }

  /** Takes over what {@link snapshot} gave. @throws Error when it is no such thing */
  restore(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const end = LENGTH_BYTES + (bytes.length < LENGTH_BYTES ? 0 : view.getUint32(0));
    const text = new TextDecoder().decode(bytes.subarray(LENGTH_BYTES, end));
    const { roster, recent } = JSON.parse(text) as { roster: unknown; recent: string };
    const read = rosterOf(roster);
    if (read === undefined) throw new Error("the snapshot does not say who the members are");
    this.roster = read;
    this.#recent = new Set(recent.match(new RegExp(`.{${2 * PROPOSAL_ID_BYTES}}`, "g")));
    this.#machine.restore(bytes.subarray(end));
  }
}
