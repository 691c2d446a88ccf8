import type { StoreOperation } from "../../platform/key-value-store.ts";
import type { PeerId } from "../../platform/signer.ts";
import type {
  Decision,
  Execution,
  Installation,
  PbftEffects,
  RefusalReason,
  Reply,
  TimerName,
  TimerRequest,
} from "./effects.ts";
import type { Evidence } from "./evidence.ts";
import type { Group } from "./group.ts";
import { encodeMessage, type Message } from "./messages.ts";

/** One step in the making: who caused it, and the effects so far. */
export class Turn {
  /** Whose message this is; undefined for a client's, a timer, or the application. */
  readonly from: PeerId | undefined;
  readonly decided: Decision[] = [];
  readonly replies: Reply[] = [];
  readonly evidence: Evidence[] = [];
  install: Installation | undefined;
  execute: Execution | undefined;
  readonly #others: readonly PeerId[];
  readonly #group: Group;
  readonly #persist: StoreOperation[] = [];
  readonly #send: { to: readonly PeerId[]; bytes: Uint8Array }[] = [];
  readonly #timers: TimerRequest[] = [];
  readonly #refused: { from: PeerId | undefined; reason: RefusalReason }[] = [];

  constructor(group: Group, others: readonly PeerId[], from: PeerId | undefined) {
    this.#group = group;
    this.#others = others;
    this.from = from;
  }

  put(key: string, value: Uint8Array): void {
    this.#persist.push({ type: "put", key, value });
  }

  del(key: string): void {
    this.#persist.push({ type: "del", key });
  }

  /** To all other replicas. */
  broadcast(message: Message): void {
    this.#send.push({ to: this.#others, bytes: encodeMessage(message) });
  }

  /** To one replica, by its place in the group. @returns bytes sent */
  send(to: number, message: Message): number {
    const peer = this.#group.members[to];
    if (peer === undefined) return 0;
    const bytes = encodeMessage(message);
    this.#send.push({ to: [peer], bytes });
    return bytes.length;
  }

  start(timer: TimerName, afterMs: number): void {
    this.#timers.push({ timer, afterMs });
  }

  stop(timer: TimerName): void {
    this.#timers.push({ timer, afterMs: undefined });
  }

  refuse(reason: RefusalReason): void {
    this.#refused.push({ from: this.from, reason });
  }

  effects(): PbftEffects {
    return {
      persist: this.#persist,
      send: this.#send,
      timers: this.#timers,
      install: this.install,
      execute: this.execute,
      decided: this.decided,
      replies: this.replies,
      evidence: this.evidence,
      refused: this.#refused,
    };
  }
}
