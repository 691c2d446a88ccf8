import type { Clock, Timer } from "../../platform/clock.ts";
import type { AppendRequest, Message } from "../raft/message.ts";

interface Parts {
  readonly clock: Clock;
  readonly delayMs: number;
  readonly send: (message: Message) => void;
}

/**
 * Appends without entries only say what is committed, which the next append says as well. Under load that comes at once,
 * so they wait a little, and most are never sent: half of all messages, and of the answers to them.
 */
export class CommitNotices {
  readonly #parts: Parts;
  readonly #held = new Map<number, AppendRequest>();
  #timer: Timer | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** @returns whether the message waits; it is sent later, unless a newer one says more */
  hold(message: Message): boolean {
    if (message.kind !== "append") return false;
    if (message.entries.length > 0) {
      this.#held.delete(message.to);
      return false;
    }
    this.#held.set(message.to, message);
    const { clock, delayMs } = this.#parts;
    this.#timer ??= clock.setTimer("raft.commit", delayMs, () => {
      this.#timer = undefined;
      const held = [...this.#held.values()];
      this.#held.clear();
      for (const each of held) this.#parts.send(each);
    });
    return true;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#held.clear();
  }
}
