import type { Hasher } from "../../platform/hasher.ts";
import { fromHex, putHex, toHex } from "../../platform/hex.ts";
import type { PeerId } from "../../platform/signer.ts";
import { RecentIds } from "../ordering/recent-ids.ts";
import type { StateMachine } from "../ordering/state-machine.ts";
import { type SplitValue, split } from "../tendermint/parts.ts";
import { ProposerRotation, type ValidatorChange } from "../tendermint/proposer-rotation.ts";
import type { ValueId } from "../tendermint/vote.ts";
import type { Basis, Block } from "./block.ts";
import { named, OPERATION_ID_BYTES, type Operation } from "./operation.ts";
import type { TendermintMemberOptions } from "./options.ts";
import { decodeState, encodeState, statePartBytes } from "./state-codec.ts";
import { TICKET_ID_BYTES } from "./ticket.ts";

/** An operation that is put in again is known for this many further ones, the same number at every member. */
const RECENT_NAMES_MAX = 8_192;
/** One name among many. */
const NAME = new RegExp(`.{${2 * OPERATION_ID_BYTES}}`, "g");

/** More than 2/3 of four bear one that lies. Of fewer, none. */
export const MEMBERS_MIN = 4;
/** Each height costs messages and signatures in the square of them. */
export const MEMBERS_MAX = 64;
/** Former members that are still told what was decided, so that they learn that they are out. */
const FORMERS_MAX = 64;
const HEAD_PURPOSE = "agent-mesh/tendermint/head/1";

/** What came of one operation. */
export interface Applied {
  readonly name: string;
  /** What the state machine answered; undefined for what was decided before, and for a change of members. */
  readonly result: Uint8Array | undefined;
  /** Why a change of members did not come about. */
  readonly refusal: string | undefined;
}

/** What came of one block. */
export interface AppliedBlock {
  readonly applied: readonly Applied[];
  /** The whole state, digested: the block after it vouches for that. */
  readonly snapshot: SplitState | undefined;
}

/** A state in parts, and as a whole. */
export interface SplitState extends SplitValue {
  readonly height: number;
  readonly state: Uint8Array;
}

interface Parts {
  readonly machine: StateMachine;
  readonly hasher: Hasher;
  readonly options: Pick<TendermintMemberOptions, "snapshotEveryHeights" | "snapshotEveryBytes">;
}

/**
 * What all members hold alike after a height: the application's state, who votes next, which operations were decided, and
 * a digest that stands for all of it.
 */
export class GroupState {
  readonly #parts: Parts;
  readonly #recent = new RecentIds(RECENT_NAMES_MAX);
  #height = 0;
  #head: string;
  #rotation: ProposerRotation;
  /** By which ticket a member came in; founders have none. */
  #admissions = new Map<PeerId, string>();
  /** With the ticket by which they had come in; none for founders. */
  #formers = new Map<PeerId, string>();
  #snapshotHeight = 0;
  #snapshotDigest: string | undefined;
  #bytesSince = 0;
  #changes: readonly ValidatorChange[] = [];

  /**
   * The state before the first height.
   * @param founders sorted
   */
  constructor(group: string, founders: readonly PeerId[], parts: Parts) {
    this.#parts = parts;
    this.#head = parts.hasher.sha256Hex(`${HEAD_PURPOSE}\0${group}/${founders.join("/")}`);
    this.#rotation = ProposerRotation.begin(founders.map((id) => ({ id, power: 1 })));
  }

  /** First of all, unless the state is taken from elsewhere: the machine hears who the members are. */
  found(): void {
    this.#parts.machine.members(this.members);
  }

  /** The last one that is applied; 0 before the first. */
  get height(): number {
    return this.#height;
  }

  /** Who votes at the next height, and in which turns. */
  get rotation(): ProposerRotation {
    return this.#rotation;
  }

  /** Who votes at the next height, sorted. */
  get members(): PeerId[] {
    return this.#rotation.validators.all.map(({ id }) => id);
  }

  /** Who comes and goes after the last height. */
  get changes(): readonly ValidatorChange[] {
    return this.#changes;
  }

  /** @returns whether the peer was taken out, lately */
  isFormer(peer: PeerId): boolean {
    return this.#formers.has(peer);
  }

  /** @returns whether the peer was in the group with that ticket, and was taken out */
  hasLeft(peer: PeerId, ticketId: string | undefined): boolean {
    return this.#formers.get(peer) === (ticketId ?? "");
  }

  /** The state that the next block stands on. */
  get basis(): Basis {
    return {
      head: this.#head,
      snapshotHeight: this.#snapshotHeight,
      snapshotDigest: this.#snapshotDigest,
    };
  }

  /** @returns the id of the ticket by which a member came in; undefined for a founder */
  admissionOf(peer: PeerId): string | undefined {
    return this.#admissions.get(peer);
  }

  /** @returns whether an operation with that name was decided lately */
  hasDecided(name: string): boolean {
    return this.#recent.has(name);
  }

  /** @returns why that peer can not be added; undefined when it can */
  refusalOfAdding(peer: PeerId): string | undefined {
    const { validators } = this.#rotation;
    if (validators.has(peer)) return undefined;
    return validators.all.length >= MEMBERS_MAX
      ? `a group has at most ${MEMBERS_MAX} members`
      : undefined;
  }

  /** @returns why that peer can not be taken out; undefined when it can */
  refusalOfRemoving(peer: PeerId): string | undefined {
    const { validators } = this.#rotation;
    if (!validators.has(peer)) return undefined;
    return validators.all.length <= MEMBERS_MIN
      ? `a group that bears a liar has at least ${MEMBERS_MIN} members`
      : undefined;
  }

  /** Applies what was decided at the next height. */
  apply(valueId: ValueId, block: Block, blockBytes: number): AppliedBlock {
    const { machine, hasher } = this.#parts;
    const applied: Applied[] = [];
    const changes: ValidatorChange[] = [];
    for (const operation of block.operations) {
      const { name } = named(operation, hasher);
      let result: Uint8Array | undefined;
      let refusal: string | undefined;
      if (operation.kind === "value") {
        if (this.#recent.add(name)) result = machine.apply(operation.data);
      } else if (operation.kind !== "nothing" && this.#recent.add(name)) {
        const change = this.#changeOf(operation);
        if (typeof change === "string") refusal = change;
        else if (change !== undefined) changes.push(change);
      }
      applied.push({ name, result, refusal });
    }
    this.#rotation = this.#rotation.change(changes).advance();
    this.#changes = changes;
    if (changes.length > 0) machine.members(this.members);
    this.#height++;
    this.#head = this.#headAfter(valueId, applied);
    this.#bytesSince += blockBytes;
    return { applied, snapshot: this.#snapshotIfDue() };
  }

  /** Takes over a state that {@link apply} gave elsewhere. @returns false when it is no state of that height */
  restore(height: number, digest: string, bytes: Uint8Array): boolean {
    const read = decodeState(bytes);
    if (read?.height !== height) return false;
    this.#recent.replace(toHex(read.recent).match(NAME) ?? []);
    this.#height = height;
    this.#head = read.head;
    this.#rotation = read.rotation;
    this.#admissions = new Map(read.admissions);
    this.#formers = new Map(read.formers);
    this.#snapshotHeight = height;
    this.#snapshotDigest = digest;
    this.#bytesSince = 0;
    this.#changes = [];
    this.#parts.machine.restore(read.machine);
    return true;
  }

  /** @returns the change, a reason why it can not be, or undefined when it has come about already */
  #changeOf({ kind, data }: Operation): ValidatorChange | string | undefined {
    const { validators } = this.#rotation;
    const isAdding = kind === "add";
    const change = isAdding ? readAdd(data) : { peer: readName(data), ticket: "" };
    if (change === undefined || change.peer === "") return "nobody is named";
    const { peer, ticket } = change;
    if (validators.has(peer) === isAdding) {
      // It begins anew as the member that it was: the run before says nothing from now on.
      if (isAdding) this.#admissions.set(peer, ticket);
      return undefined;
    }
    const refusal = isAdding ? this.refusalOfAdding(peer) : this.refusalOfRemoving(peer);
    if (refusal !== undefined) return refusal;
    const step = { kind: isAdding ? "add" : "remove", peer } as const;
    if (this.#parts.machine.permits?.(step) === false)
      return "the members have not agreed to that change";
    this.#formers.delete(peer);
    if (isAdding) this.#admissions.set(peer, ticket);
    else {
      this.#formers.set(peer, this.#admissions.get(peer) ?? "");
      this.#admissions.delete(peer);
      for (const oldest of this.#formers.keys()) {
        if (this.#formers.size <= FORMERS_MAX) break;
        this.#formers.delete(oldest);
      }
    }
    return { id: peer, power: isAdding ? 1 : 0 };
  }

  #headAfter(valueId: ValueId, applied: readonly Applied[]): string {
    let length = 64;
    for (const { result } of applied) length += 4 + (result?.length ?? 0);
    const bytes = new Uint8Array(length);
    putHex(bytes, 0, this.#head);
    putHex(bytes, 32, valueId);
    const view = new DataView(bytes.buffer);
    let at = 64;
    for (const { result } of applied) {
      view.setUint32(at, result?.length ?? 0);
      at += 4;
      if (result === undefined) continue;
      bytes.set(result, at);
      at += result.length;
    }
    return this.#parts.hasher.sha256Hex(bytes);
  }

  #snapshotIfDue(): SplitState | undefined {
    const { hasher, machine, options } = this.#parts;
    const isDue =
      this.#height - this.#snapshotHeight >= options.snapshotEveryHeights ||
      this.#bytesSince >= options.snapshotEveryBytes;
    if (!isDue) return undefined;
    const state = encodeState({
      height: this.#height,
      head: this.#head,
      rotation: this.#rotation,
      admissions: [...this.#admissions],
      formers: [...this.#formers],
      recent: fromHex(this.#recent.list().join("")),
      machine: machine.snapshot(),
    });
    const parts = split(state, statePartBytes(state.length), hasher);
    this.#snapshotHeight = this.#height;
    this.#snapshotDigest = parts.valueId;
    this.#bytesSince = 0;
    return { ...parts, height: this.#height, state };
  }
}

/** @returns the data of an operation that adds a member */
export function addData(ticketId: string, peer: PeerId): Uint8Array {
  const name = new TextEncoder().encode(peer);
  const data = new Uint8Array(TICKET_ID_BYTES + name.length);
  data.set(fromHex(ticketId));
  data.set(name, TICKET_ID_BYTES);
  return data;
}

function readAdd(data: Uint8Array): { readonly ticket: string; readonly peer: PeerId } | undefined {
  if (data.length <= TICKET_ID_BYTES) return undefined;
  const ticket = toHex(data.subarray(0, TICKET_ID_BYTES));
  return { ticket, peer: readName(data.subarray(TICKET_ID_BYTES)) };
}

function readName(data: Uint8Array): PeerId {
  return new TextDecoder().decode(data);
}
