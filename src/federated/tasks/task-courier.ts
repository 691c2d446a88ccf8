import type { Clock, Timer } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import {
  messagesOnly,
  type Network,
  type NetworkEvent,
  type NetworkGate,
  type Protocol,
} from "../../platform/network.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { Statement } from "./known-task.ts";
import { decodeMessage, encodeMessage, MESSAGE_BYTES_MAX } from "./message-codec.ts";
import type { GossipEffect, TaskGossip } from "./task-gossip.ts";

/** Carries learning tasks and their newest rounds. */
export const LEARNING_TASKS_PROTOCOL: Protocol = {
  id: "/agent-mesh/learning-tasks/1.0.0",
  messageBytesMax: MESSAGE_BYTES_MAX,
  queueBytesMax: 4 * MESSAGE_BYTES_MAX,
  requestsInFlightMax: 1,
};

const HELLO_EVERY_MS = 60_000;

/** What a courier works with. */
export interface TaskCourierParts {
  readonly network: Pick<Network, "serve" | "send" | "links">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly gate: Pick<NetworkGate, "offence">;
  readonly gossip: TaskGossip;
}

/** Does what the gossip of tasks says, over kept links. */
export class TaskCourier {
  readonly #parts: TaskCourierParts;
  #timer: Timer | undefined;
  #running = false;

  constructor(parts: TaskCourierParts) {
    this.#parts = parts;
    const { network, gate, gossip } = parts;
    network.serve(LEARNING_TASKS_PROTOCOL, {
      message: (from, bytes) => {
        const message = decodeMessage(bytes);
        if (message === undefined) gate.offence(from, "malformed");
        else if (this.#running) this.#perform(gossip.message(from, message));
      },
      request: messagesOnly("learning-tasks"),
    });
  }

  /** Begins to tell and to hear. */
  start(): void {
    this.#running = true;
    for (const { peer } of this.#parts.network.links())
      this.#perform(this.#parts.gossip.linkUp(peer));
    this.#helloLater();
  }

  /** Falls silent. Idempotent. */
  stop(): void {
    this.#running = false;
    this.#timer?.cancel();
  }

  /** Passes on what the network tells. */
  take(event: NetworkEvent): void {
    const { gossip } = this.#parts;
    if (event.kind === "link-down") gossip.linkDown(event.peer);
    if (event.kind === "link-up" && this.#running) this.#perform(gossip.linkUp(event.link.peer));
  }

  /** Something came about here. */
  announce(news: Statement): void {
    if (this.#running) this.#perform(this.#parts.gossip.announce(news));
  }

  #helloLater(): void {
    this.#timer = this.#parts.clock.setTimer("learning hello", HELLO_EVERY_MS, () => {
      this.#perform(this.#parts.gossip.refresh());
      this.#helloLater();
    });
  }

  #perform(effects: readonly GossipEffect[]): void {
    for (const { to, message } of effects) this.#send(to, encodeMessage(message));
  }

  #send(to: PeerId, bytes: Uint8Array): void {
    const { network, logger } = this.#parts;
    network
      .send(to, LEARNING_TASKS_PROTOCOL, bytes)
      .catch((error: unknown) =>
        logger.debug("learning tasks were not told", { peer: to, reason: String(error) }),
      );
  }
}
