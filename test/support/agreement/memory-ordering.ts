import type {
  Ordered,
  Ordering,
  OrderingParts,
  OrderingProtocol,
  OrderingStatus,
} from "../../../src/consensus/ordering/ordering.ts";
import { AgreementError, type Patience } from "../../../src/consensus/ordering/waiting.ts";
import type { Timer } from "../../../src/platform/clock.ts";
import { toHex } from "../../../src/platform/hex.ts";
import type { PeerId } from "../../../src/platform/signer.ts";

const LOOK_EVERY_MS = 10;
const SNAPSHOT_EVERY = 8;

type LogEntry =
  | { readonly id: string; readonly value: Uint8Array }
  | { readonly voters: readonly PeerId[] };

/** One order that all members of a group write to and read from, as if nothing could happen to it. */
export class MemoryOrder {
  readonly log: LogEntry[] = [];
  readonly ids = new Set<string>();
  readonly snapshots = new Map<PeerId, { readonly position: number; readonly state: Uint8Array }>();
  voters: readonly PeerId[] = [];
  /** Who is cut off neither writes nor reads. */
  isConnected: (peer: PeerId) => boolean = () => true;

  append(entry: LogEntry): void {
    if ("id" in entry) {
      if (this.ids.has(entry.id)) return;
      this.ids.add(entry.id);
    } else this.voters = entry.voters;
    this.log.push(entry);
  }
}

interface Submitted {
  readonly value: Uint8Array;
  readonly untilMs: number;
  readonly resolve: (ordered: Ordered) => void;
  readonly reject: (error: Error) => void;
}

/** One member's view of a {@link MemoryOrder}: applies what is in it, after a while, and now and then makes a snapshot. */
export class MemoryOrdering implements Ordering {
  readonly #parts: OrderingParts;
  readonly #order: MemoryOrder;
  readonly #protocol: OrderingProtocol;
  readonly #submitted = new Map<string, Submitted>();
  readonly #reads: { readonly position: number; readonly resolve: () => void }[] = [];
  #position: number;
  #founders: readonly PeerId[];
  #timer: Timer | undefined;
  #stopped = false;
  #left = false;

  constructor(parts: OrderingParts, order: MemoryOrder, protocol: OrderingProtocol) {
    const { beginning, machine, signer } = parts;
    this.#parts = parts;
    this.#order = order;
    this.#protocol = protocol;
    if (beginning.kind === "found") {
      order.voters = [...beginning.members].sort();
      if (order.log.length === 0) order.append({ voters: order.voters });
    }
    this.#founders = order.voters;
    const snapshot = order.snapshots.get(signer.peerId);
    this.#position = snapshot?.position ?? 0;
    if (snapshot !== undefined) machine.restore(snapshot.state);
  }

  start(): void {
    this.#lookLater();
  }

  stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    const error = new AgreementError("consensus.stopped", "this member stops");
    for (const { reject } of this.#submitted.values()) reject(error);
    this.#submitted.clear();
    return Promise.resolve();
  }

  submit(
    value: Uint8Array,
    patience: Patience,
    id = this.#parts.random.bytes(16),
  ): Promise<Ordered> {
    if (this.#stopped)
      return Promise.reject(new AgreementError("consensus.stopped", "this member stops"));
    const untilMs = this.#parts.clock.monotonicMs() + patience.timeoutMs;
    return new Promise((resolve, reject) => {
      this.#submitted.set(toHex(id), { value: value.slice(), untilMs, resolve, reject });
    });
  }

  read(): Promise<void> {
    const position = this.#order.log.length;
    return new Promise((resolve) => {
      this.#reads.push({ position, resolve });
    });
  }

  ticket(): Uint8Array {
    return new Uint8Array();
  }

  change(step: Parameters<Ordering["change"]>[0]): Promise<void> {
    const others = this.#order.voters.filter((peer) => peer !== step.peer);
    const voters = step.kind === "add" ? [...others, step.peer].sort() : others;
    this.#order.append({ voters });
    return this.read();
  }

  status(): OrderingStatus {
    const members = this.#founders;
    const { peerId } = this.#parts.signer;
    const leader = members.find((peer) => this.#order.isConnected(peer));
    return {
      protocol: this.#protocol,
      standing: this.#left ? "left" : leader === peerId ? "leading" : "following",
      leader,
      term: 1,
      position: this.#position,
      members,
      learners: [],
    };
  }

  #lookLater(): void {
    this.#timer = this.#parts.clock.setTimer("order", LOOK_EVERY_MS, () => {
      this.#lookLater();
      if (this.#order.isConnected(this.#parts.signer.peerId) && !this.#left) this.#look();
      const nowMs = this.#parts.clock.monotonicMs();
      for (const [id, { untilMs, reject }] of this.#submitted)
        if (untilMs <= nowMs) {
          this.#submitted.delete(id);
          reject(new AgreementError("consensus.timeout", "not decided in time"));
        }
    });
  }

  #look(): void {
    for (const [id, { value }] of this.#submitted) this.#order.append({ id, value });
    const { log, snapshots } = this.#order;
    const { machine, signer } = this.#parts;
    while (this.#position < log.length && !this.#left) {
      const entry = log[this.#position++];
      if (entry === undefined) break;
      if ("voters" in entry) {
        machine.members(entry.voters);
        this.#founders = entry.voters;
        // Whoever waits to be added has not been there before.
        const wasThere = snapshots.has(signer.peerId) || this.#parts.beginning.kind === "found";
        this.#left = wasThere && !entry.voters.includes(signer.peerId);
      } else {
        const result = machine.apply(entry.value);
        this.#submitted.get(entry.id)?.resolve({ position: this.#position, result });
        this.#submitted.delete(entry.id);
      }
      if (this.#position % SNAPSHOT_EVERY === 0)
        snapshots.set(signer.peerId, { position: this.#position, state: machine.snapshot() });
    }
    for (const id of this.#submitted.keys())
      if (this.#order.ids.has(id)) {
        this.#submitted.get(id)?.resolve({ position: this.#position, result: undefined });
        this.#submitted.delete(id);
      }
    for (const read of this.#reads.splice(0))
      if (read.position <= this.#position) read.resolve();
      else this.#reads.push(read);
  }
}
