import type { Outbox } from "../outbox/outbox.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import type { Marks, OutboundUpdate, StreamMarks } from "../platform/uplink-connection.ts";
import type { Uplink } from "./uplink.ts";

/** At most so much is asked at once; what is not asked for is sent. */
const STREAMS_MAX = 10_000;
const NAMES_BYTES_MAX = 262_144;

/** What a {@link CatchUp} is made of. */
export interface CatchUpParts {
  readonly uplink: Uplink;
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called when there is an answer, or none will come. */
  readonly answered: () => void;
}

/** What the receiver has of one stream, as far as it is believed. */
interface Claim {
  readonly marks: StreamMarks;
  /** The sequence that was given last when the question was asked. */
  readonly given: number;
  /** The first range that ends at or after the latest update looked at: they come in ascending order. */
  at: number;
  /** An update that the receiver does not have has been seen. */
  begun: boolean;
}

/**
 * What one connection begins with: the receiver is asked once what it has of the streams that wait, and what it has
 * is not sent. Made anew for every connection, since another receiver may answer there.
 */
export class CatchUp {
  readonly #parts: CatchUpParts;
  readonly #claims = new Map<string, Claim>();
  #stage: "new" | "asking" | "done" = "new";
  #patience: Timer | undefined;
  #firsts = new Map<string, number>();

  constructor(parts: CatchUpParts) {
    this.#parts = parts;
  }

  /**
   * Whether updates may leave. Asks the receiver when called first, which is when there is something to send: a link
   * that carries nothing costs nothing.
   */
  ready(): boolean {
    if (this.#stage !== "new") return this.#stage === "done";
    const { uplink, clock, logger } = this.#parts;
    const { connection, options, name } = uplink;
    if (connection.askMarks === undefined) {
      this.#stage = "done";
      return true;
    }
    this.#stage = "asking";
    const streams = this.#waiting();
    // Connections have patience of their own; this is for one that forgets.
    this.#patience = clock.setTimer("uplink.marks", options.stallTimeoutMs, () => {
      logger.warn("uplink got no answer to its question for marks", { uplink: name });
      this.#take(streams, undefined);
    });
    connection.askMarks([...streams.keys()], (marks) => this.#take(streams, marks));
    return false;
  }

  /** The connection has ended: no answer is wanted any more. */
  end(): void {
    this.#stage = "done";
    this.#patience?.cancel();
    this.#claims.clear();
  }

  /** Whether the receiver has this update, so that it need not be sent. */
  has(update: OutboundUpdate): boolean {
    const claim = this.#claims.get(update.stream);
    if (claim === undefined) return false;
    const { sequence, stream } = update;
    const { through, ranges } = claim.marks;
    if (sequence >= claim.given) this.#claims.delete(stream);
    if (sequence <= claim.given && isOlder(update, claim.marks)) {
      if (sequence <= through) return true;
      while ((ranges[claim.at]?.[1] ?? sequence) < sequence) claim.at++;
      if ((ranges[claim.at]?.[0] ?? Number.POSITIVE_INFINITY) <= sequence) return true;
    }
    // Everything below it was acknowledged, is there, or was dropped: what is missing will never come.
    if (!claim.begun && sequence > through + 1) this.#firsts.set(stream, sequence);
    claim.begun = true;
    return false;
  }

  /** Tells the receiver about gaps that {@link has} has seen and that nothing will fill. */
  tellGaps(): void {
    if (this.#firsts.size === 0) return;
    this.#parts.uplink.connection.tellFirst?.(this.#firsts);
    this.#firsts = new Map();
  }

  #waiting(): ReadonlyMap<string, number> {
    const { outbox, uplink } = this.#parts;
    const streams = new Map<string, number>();
    let bytes = 0;
    const { updatePriorityMin } = uplink.options;
    for (const [name, sequence] of outbox.waitingStreams(STREAMS_MAX, updatePriorityMin)) {
      bytes += 4 * name.length;
      if (bytes > NAMES_BYTES_MAX) break;
      streams.set(name, sequence);
    }
    return streams;
  }

  #take(streams: ReadonlyMap<string, number>, marks: Marks | undefined): void {
    if (this.#stage !== "asking") return;
    this.#stage = "done";
    this.#patience?.cancel();
    let beyond: string | undefined;
    for (const [name, given] of streams) {
      const known = marks?.get(name);
      if (known === undefined) continue;
      const last = known.ranges.at(-1)?.[1] ?? known.through;
      if (last > given) beyond ??= name;
      this.#claims.set(name, { marks: known, given, at: 0, begun: false });
    }
    if (beyond !== undefined) this.#warn(beyond);
    this.#parts.answered();
  }

  /** An older copy of the data directory was put back, or two agents have one id. */
  #warn(stream: string): void {
    const { logger, uplink } = this.#parts;
    logger.warn(
      "the receiver has updates under this agent's id that this agent never gave: an older copy of its data directory was put back, or another agent has the same agent.id",
      { uplink: uplink.name, stream },
    );
  }
}

/**
 * An agent on an older copy of its data gives numbers a second time. What it observed after the newest update that
 * the receiver has is new, whatever its number; a clock that was not trusted proves nothing either way. Such
 * updates are sent, and the receiver tells them apart.
 */
function isOlder(update: OutboundUpdate, { lastObservedAtMs }: StreamMarks): boolean {
  if (lastObservedAtMs === undefined) return true;
  return update.observedAtTrusted && update.observedAtMs <= lastObservedAtMs;
}
