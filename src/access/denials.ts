import type { EventSink } from "../platform/event-sink.ts";
import type { PeerId } from "../platform/signer.ts";
import type { AuditTrail } from "./audit.ts";
import { Throttle } from "./throttle.ts";

const TOLD_PER_MINUTE_MAX = 20;
const KEYS_MAX = 512;

interface Parts {
  readonly audit: AuditTrail;
  readonly events: EventSink;
}

/** Tells the audit log who was refused what: the first time at once, then once a minute in sum. */
export class Denials {
  readonly #parts: Parts;
  readonly #throttle = new Throttle({ perMinuteMax: TOLD_PER_MINUTE_MAX, keysMax: KEYS_MAX });
  readonly #counts = new Map<string, number>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Refusals since the start, by code. */
  counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  /** @param what protocol id or topic, as the peer named it @param nowMs monotonic */
  denied(peer: PeerId, what: string, code: string, nowMs: number): void {
    this.#counts.set(code, (this.#counts.get(code) ?? 0) + 1);
    const told = this.#throttle.happened(`${peer} ${code}`, nowMs);
    if (told !== undefined) this.#tell(peer, code, told.more + 1, what.slice(0, 128));
  }

  /** Tells what was held back. About once a minute. */
  sweep(nowMs: number): void {
    const { told, others } = this.#throttle.drain(nowMs);
    for (const { key, more } of told) {
      const [peer = "", code = ""] = key.split(" ");
      this.#tell(peer, code, more, undefined);
    }
    if (others > 0) this.#tell("others", "access.denied", others, undefined);
  }

  #tell(peer: PeerId, code: string, times: number, what: string | undefined): void {
    this.#parts.events.emit("access.denied", {
      peer,
      reason: code,
      times,
      ...(what === undefined ? {} : { what }),
    });
    this.#parts.audit.note({
      actor: `peer:${peer}`,
      action: "use.denied",
      outcome: "denied",
      detail: code,
      times,
      ...(what === undefined ? {} : { subject: what }),
    });
  }
}
