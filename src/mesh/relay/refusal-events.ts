import type { EventSink } from "../../platform/event-sink.ts";
import type { Guest } from "./guest.ts";
import type { Refusal } from "./host-desk.ts";

/** The same refusal of one guest is an event once in so long. */
const EVENT_GAP_MS = 60_000;
const TOLD_MAX = 1_024;

/** Tells of refusals, not of each one: a guest that is told no asks again soon. */
export class RefusalEvents {
  readonly #events: EventSink;
  readonly #toldAtMs = new Map<string, number>();

  constructor(events: EventSink) {
    this.#events = events;
  }

  /** @param nowMs monotonic */
  refused(
    { peer, agentId }: Pick<Guest, "peer" | "agentId">,
    { code, detail, retryAfterMs }: Refusal,
    nowMs: number,
  ): void {
    const key = `${peer} ${code}`;
    const toldAtMs = this.#toldAtMs.get(key);
    if (toldAtMs !== undefined && nowMs - toldAtMs < EVENT_GAP_MS) return;
    if (this.#toldAtMs.size >= TOLD_MAX) this.forgetOld(nowMs);
    // Somebody makes up ever new names: no more than so many events a minute.
    if (this.#toldAtMs.size >= TOLD_MAX) return;
    this.#toldAtMs.set(key, nowMs);
    const data = { peerId: peer, agentId, code, reason: detail, retryAfterMs };
    this.#events.emit("relay.refused", data);
  }

  /** Those that may be told of again need not be remembered. */
  forgetOld(nowMs: number): void {
    for (const [key, atMs] of this.#toldAtMs)
      if (nowMs - atMs >= EVENT_GAP_MS) this.#toldAtMs.delete(key);
  }
}
