import type { PeerId } from "../../platform/signer.ts";
import type { StateMachine } from "../ordering/state-machine.ts";
import { ByteWriter, decodeAll } from "../pbft/bytes.ts";
import { MEMBERS_MAX, MEMBERS_MIN } from "../pbft/group.ts";
import { type Entry, type GroupStep, PEER_BYTES_MAX } from "./operation.ts";
import { RecentKeys } from "./recent-keys.ts";

/** What came of an entry: `changed` ends the epoch; `later` asks for the next one, since this one ends already. */
export type Outcome =
  | { readonly kind: "applied"; readonly result: Uint8Array | undefined }
  | { readonly kind: "changed" | "known" | "later" }
  | { readonly kind: "refused"; readonly reason: string };

const KNOWN: Outcome = { kind: "known" };
const LATER: Outcome = { kind: "later" };
const CHANGED: Outcome = { kind: "changed" };

/** What all members of a group hold alike: the application's state, who they are, and which values were decided. */
export class ReplicatedState {
  readonly #machine: StateMachine;
  readonly #recent: RecentKeys;
  #members: readonly PeerId[] = [];
  #next: readonly PeerId[] | undefined;
  #base = 0;

  constructor(machine: StateMachine, keysMax: number) {
    this.#machine = machine;
    this.#recent = new RecentKeys(keysMax);
  }

  /** Sorted. */
  get members(): readonly PeerId[] {
    return this.#members;
  }

  /** Places in the order before this epoch. */
  get base(): number {
    return this.#base;
  }

  /** The epoch ends with the batch that is being applied. */
  get isEnding(): boolean {
    return this.#next !== undefined;
  }

  /** The first state of a group, before any value. */
  found(members: readonly PeerId[]): void {
    this.#members = [...members].sort();
    this.#machine.members(this.#members);
  }

  hasDecided(key: string): boolean {
    return this.#recent.has(key);
  }

  /** @param key by which the entry is known again */
  apply(entry: Entry, key: string): Outcome {
    if (entry.kind === "change" && this.isEnding) return LATER;
    if (entry.kind === "change") {
      if (this.#recent.has(key)) return KNOWN;
      const outcome = this.#change(entry.step);
      // What was refused may be asked for again.
      if (outcome.kind !== "refused") this.#recent.add(key);
      return outcome;
    }
    const isNew = this.#recent.add(key);
    return { kind: "applied", result: isNew ? this.#machine.apply(entry.value) : undefined };
  }

  /** The epoch has ended after so many batches; the next one begins with the members that were decided. */
  advance(sequence: number): void {
    if (this.#next === undefined) throw new Error("nothing was changed");
    this.#base += sequence;
    this.#members = this.#next;
    this.#next = undefined;
    this.#machine.members(this.#members);
  }

  /** @returns everything, at a place where no epoch is ending */
  snapshot(): Uint8Array {
    const state = this.#machine.snapshot();
    const { keys, next } = this.#recent.snapshot();
    const writer = new ByteWriter(4_096 + keys.length + state.length).u53(this.#base);
    writer.u32(this.#members.length);
    for (const peer of this.#members) writer.text(peer);
    return writer.u32(next).sized(keys).raw(state).finish();
  }

  /** Takes over what {@link snapshot} gave. @throws Error when it is no such thing */
  restore(bytes: Uint8Array): void {
    const read = decodeAll(bytes, (reader) => {
      const base = reader.u53();
      const count = reader.count(MEMBERS_MAX);
      const members: PeerId[] = [];
      while (members.length < count) members.push(reader.text(PEER_BYTES_MAX));
      const next = reader.u32();
      return { base, members, next, keys: reader.sized(bytes.length), state: reader.rest() };
    });
    if (read === undefined) throw new Error("the state of the group can not be read");
    this.#recent.restore(read);
    this.#base = read.base;
    this.#members = read.members;
    this.#next = undefined;
    this.#machine.restore(read.state);
  }

  #change({ kind, peer }: GroupStep): Outcome {
    const isMember = this.#members.includes(peer);
    if (isMember === (kind === "add")) return KNOWN;
    if (this.#machine.permits?.({ kind, peer }) === false)
      return { kind: "refused", reason: "the members have not agreed to that change" };
    const { length } = this.#members;
    if (kind === "add" && length >= MEMBERS_MAX)
      return { kind: "refused", reason: `a group has at most ${MEMBERS_MAX} members` };
    if (kind === "remove" && length <= MEMBERS_MIN)
      return {
        kind: "refused",
        reason: `with fewer than ${MEMBERS_MIN} members a group can not bear a liar`,
      };
    this.#next =
      kind === "add"
        ? [...this.#members, peer].sort()
        : this.#members.filter((member) => member !== peer);
    return CHANGED;
  }
}
