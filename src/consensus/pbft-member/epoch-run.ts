import type { Clock, Timer } from "../../platform/clock.ts";
import type { PeerId } from "../../platform/signer.ts";
import type {
  Execution,
  Installation,
  PbftEffects,
  PbftInput,
  RefusalReason,
  Reply,
  TimerName,
} from "../pbft/effects.ts";
import type { Evidence } from "../pbft/evidence.ts";
import type { Group } from "../pbft/group.ts";
import { encodeMessage, isQuestion } from "../pbft/messages.ts";
import type { PbftReplica } from "../pbft/replica.ts";
import { encodeEnvelope } from "./envelope.ts";
import type { MemberDisk } from "./member-disk.ts";
import type { RecordWriter } from "./record-writer.ts";

const NOTHING = new Uint8Array(0);

/** What the core of one epoch works with. */
export interface EpochRunParts {
  readonly epoch: number;
  readonly group: Group;
  readonly replica: PbftReplica;
  /** All members but this one. */
  readonly others: readonly PeerId[];
  readonly clock: Clock;
  readonly disk: Pick<MemberDisk, "epochOperations">;
  readonly writer: RecordWriter;
  readonly send: (to: PeerId, bytes: Uint8Array) => void;
  /** Applies a batch. @returns false when the epoch ends with it */
  readonly execute: (execution: Execution) => boolean;
  /** @returns the state that checkpoints are about */
  readonly state: () => Uint8Array;
  readonly install: (installation: Installation) => void;
  readonly replied: (reply: Reply) => void;
  readonly refused: (from: PeerId | undefined, reason: RefusalReason) => void;
  readonly accused: (evidence: Evidence) => void;
  /** Something happened: the view may be another one. */
  readonly stepped: () => void;
  /** The core can not go on. */
  readonly failed: (error: Error) => void;
}

/** Brings messages and time to the core of one epoch, and performs what it wants in its order, after the disk. */
export class EpochRun {
  readonly #parts: EpochRunParts;
  readonly #timers = new Map<TimerName, Timer>();
  /** `retired` only answers those who are behind. */
  #phase: "running" | "retired" | "ended" = "running";

  constructor(parts: EpochRunParts) {
    this.#parts = parts;
  }

  get epoch(): number {
    return this.#parts.epoch;
  }

  get group(): Group {
    return this.#parts.group;
  }

  get replica(): PbftReplica {
    return this.#parts.replica;
  }

  start(): void {
    this.#guarded(() => this.#perform(this.replica.start()));
  }

  /** Begins where the epoch has ended already: it only answers. */
  startRetired(): void {
    this.#phase = "retired";
    this.#guarded(() => void this.replica.start());
  }

  take(from: PeerId, bytes: Uint8Array): void {
    if (this.#phase === "running") this.#step({ kind: "message", from, bytes });
    else if (this.#phase === "retired" && isQuestion(bytes))
      this.#guarded(() => this.#say(this.replica.step({ kind: "message", from, bytes })));
  }

  /** A request of this member. */
  request(bytes: Uint8Array): void {
    if (this.#phase === "running") this.#step({ kind: "request", bytes, isOwn: true });
  }

  /** Hands a request to all others. */
  spread(bytes: Uint8Array): void {
    if (this.#phase !== "running") return;
    this.#broadcast(this.#parts.others, encodeMessage({ kind: "request", bytes }));
  }

  /** The epoch has ended here. Who is behind still gets what it lacks. */
  retire(): void {
    this.#phase = "retired";
    this.#stopTimers();
  }

  /** Nothing is said any more. */
  end(): void {
    this.#phase = "ended";
    this.#stopTimers();
  }

  #stopTimers(): void {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }

  #step(input: PbftInput): void {
    this.#guarded(() => this.#perform(this.replica.step(input)));
  }

  /** What the core throws is about the application, or about itself: nothing that could be gone on from. */
  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#parts.failed(error as Error);
    }
  }

  #perform(effects: PbftEffects): void {
    const { disk, epoch, writer, refused, accused, stepped } = this.#parts;
    for (const { from, reason } of effects.refused) refused(from, reason);
    for (const evidence of effects.evidence) accused(evidence);
    const { persist } = effects;
    const operations = persist.length === 0 ? persist : disk.epochOperations(epoch, persist);
    if (operations.length > 0 || hasWork(effects))
      writer.push(operations, () => this.#act(effects));
    stepped();
  }

  /** It is durable: now it may be said and done. */
  #act(effects: PbftEffects): void {
    if (this.#phase === "ended") return;
    this.#say(effects);
    if (this.#phase !== "running") return;
    for (const { timer, afterMs } of effects.timers) this.#setTimer(timer, afterMs);
    this.#guarded(() => {
      if (effects.install !== undefined) this.#parts.install(effects.install);
      if (effects.execute !== undefined) this.#execute(effects.execute);
    });
    for (const reply of effects.replies) this.#parts.replied(reply);
  }

  #say({ send }: PbftEffects): void {
    for (const { to, bytes } of send) this.#broadcast(to, bytes);
  }

  #broadcast(to: readonly PeerId[], bytes: Uint8Array): void {
    const message = encodeEnvelope({ kind: "replica", epoch: this.epoch, bytes });
    for (const peer of to) this.#parts.send(peer, message);
  }

  #execute(execution: Execution): void {
    const { sequence, requests, wantsState } = execution;
    if (!this.#parts.execute(execution)) return;
    const results = requests.map(() => NOTHING);
    this.#step({
      kind: "executed",
      sequence,
      results,
      ...(wantsState && { state: this.#parts.state() }),
    });
  }

  #setTimer(timer: TimerName, afterMs: number | undefined): void {
    this.#timers.get(timer)?.cancel();
    this.#timers.delete(timer);
    if (afterMs === undefined) return;
    const started = this.#parts.clock.setTimer(`pbft.${timer}`, afterMs, () => {
      this.#timers.delete(timer);
      if (this.#phase === "running") this.#step({ kind: "timer", timer });
    });
    this.#timers.set(timer, started);
  }
}

function hasWork({ send, timers, install, execute, replies }: PbftEffects): boolean {
  return (
    send.length > 0 ||
    timers.length > 0 ||
    install !== undefined ||
    execute !== undefined ||
    replies.length > 0
  );
}
