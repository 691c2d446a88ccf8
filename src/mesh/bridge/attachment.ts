import {
  type BridgeClient,
  type BridgeError,
  type BridgeLinkChannel,
  type BridgeLinkReceiver,
  type BridgePrincipal,
  toBridgeError,
} from "../../platform/bridge.ts";
import type { Clock, Timer } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { BridgeHub } from "./hub.ts";
import type { Link } from "./link.ts";

/** How a device keeps attached to one gateway. */
export interface AttachmentParts {
  /** Names the gateway in logs. */
  readonly name: string;
  readonly client: BridgeClient;
  readonly hub: BridgeHub;
  /** What the gateway may do here. */
  readonly principal: BridgePrincipal;
  readonly clock: Clock;
  readonly logger: Logger;
  /** @param attempt 1 after the first failure @returns how long to wait */
  readonly backoffMs: (attempt: number) => number;
}

/** How it goes. */
export interface AttachmentStatus {
  readonly name: string;
  readonly state: "stopped" | "connecting" | "attached" | "waiting";
  /** Failures since the link last stood. */
  readonly attempts: number;
  /** Links that stood so far. */
  readonly attached: number;
  readonly reason?: string;
  /** While it waits: when it tries again. */
  readonly retryInMs?: number;
}

/**
 * A link to a gateway, made again whenever it ends, for ever. What is asked for in between fails at once rather than
 * wait for a link that may not come.
 */
export class Attachment {
  readonly #parts: AttachmentParts;
  #state: AttachmentStatus["state"] = "stopped";
  #link: Link | undefined;
  #timer: Timer | undefined;
  #attempts = 0;
  #attached = 0;
  #reason: string | undefined;
  #retryAtMs = 0;

  constructor(parts: AttachmentParts) {
    this.#parts = parts;
  }

  /** Begins to connect. */
  start(): void {
    if (this.#state === "stopped") this.#connect();
  }

  /** Ends the link, and makes none any more. Idempotent. */
  stop(): void {
    this.#state = "stopped";
    this.#timer?.cancel();
    this.#link?.close();
    this.#parts.client.stop();
  }

  status(): AttachmentStatus {
    const stands = this.#state === "connecting" && this.#link?.peer !== undefined;
    return {
      name: this.#parts.name,
      state: stands ? "attached" : this.#state,
      attempts: stands ? 0 : this.#attempts,
      attached: this.#attached + (stands ? 1 : 0),
      ...(this.#reason === undefined || stands ? {} : { reason: this.#reason }),
      ...(this.#state === "waiting" && {
        retryInMs: Math.max(0, Math.round(this.#retryAtMs - this.#parts.clock.monotonicMs())),
      }),
    };
  }

  #connect(): void {
    const { client, hub, principal } = this.#parts;
    this.#state = "connecting";
    let link: Link | undefined;
    // Nothing comes in before this turn of the event loop is over, and by then the link is there.
    const receiver: BridgeLinkReceiver = {
      frame: (frame) => link?.frame(frame),
      closed: (error) => link?.closed(error),
    };
    let channel: BridgeLinkChannel | undefined;
    try {
      channel = client.link(receiver);
      link = hub.attach(channel, principal, (error) => this.#ended(link, error));
      this.#link = link;
    } catch (error) {
      channel?.close();
      this.#ended(undefined, toBridgeError(error));
    }
  }

  #ended(link: Link | undefined, error: BridgeError | undefined): void {
    if (this.#state === "stopped") return;
    const { clock, logger, name, backoffMs } = this.#parts;
    if (link?.stoodWith !== undefined) {
      this.#attached++;
      this.#attempts = 0;
    }
    this.#link = undefined;
    this.#attempts++;
    this.#state = "waiting";
    this.#reason = error?.message ?? "the gateway closed the link";
    const waitMs = backoffMs(this.#attempts);
    this.#retryAtMs = clock.monotonicMs() + waitMs;
    logger.warn("the bridge link ended", { gateway: name, reason: this.#reason, waitMs });
    this.#timer = clock.setTimer("bridge.reconnect", waitMs, () => this.#connect());
  }
}
