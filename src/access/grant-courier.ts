import type { Clock, Timer } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import type { Network, Protocol } from "../platform/network.ts";
import type { PeerId } from "../platform/signer.ts";
import type { SignedGrant, SignedRevocations } from "../wire/agent_mesh/v1/access_pb.ts";
import { ACCESS_MESSAGE_BYTES_MAX } from "./access-message.ts";
import type { ExchangeEffect, GrantExchange } from "./grant-exchange.ts";
import { ACCESS_PROTOCOL_ID } from "./mesh-gate.ts";

const HELLO_EVERY_MS = 600_000;
/** Many grants that are issued in a row go out in few messages. */
const ANNOUNCE_AFTER_MS = 1_000;
const GRANTS_WAITING_MAX = 4_096;
const LISTS_WAITING_MAX = 64;
const ASK_TIMEOUT_MS = 10_000;

const ACCESS_PROTOCOL: Protocol = {
  id: ACCESS_PROTOCOL_ID,
  messageBytesMax: ACCESS_MESSAGE_BYTES_MAX,
  queueBytesMax: 1_048_576,
  requestsInFlightMax: 2,
};

/** What access control needs of the network. */
export type AccessNetwork = Pick<Network, "serve" | "send" | "request" | "disconnect">;

interface Parts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly exchange: GrantExchange;
}

/** Does what the exchange of grants says, over the network. */
export class GrantCourier {
  readonly #parts: Parts;
  #network: AccessNetwork | undefined;
  #grants: SignedGrant[] = [];
  #lists: SignedRevocations[] = [];
  #announceTimer: Timer | undefined;
  #helloTimer: Timer | undefined;
  #closed = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Serves the access protocol, and says hello again now and then. */
  attach(network: AccessNetwork): void {
    const { exchange } = this.#parts;
    this.#network = network;
    network.serve(ACCESS_PROTOCOL, {
      message: (from, payload) => this.#perform(exchange.message(from, payload)),
      request: (from, payload) => exchange.request(from, payload),
    });
    this.#helloLater();
  }

  neighbours(): readonly PeerId[] {
    return this.#parts.exchange.neighbours();
  }

  linkUp(peer: PeerId): void {
    this.#perform(this.#parts.exchange.linkUp(peer));
  }

  linkDown(peer: PeerId): void {
    this.#parts.exchange.linkDown(peer);
  }

  /** A grant came about here: all neighbours hear of it in a moment. */
  announceGrant(signed: SignedGrant): void {
    // Those over the bound get around by fingerprints.
    if (this.#grants.length < GRANTS_WAITING_MAX) this.#grants.push(signed);
    this.#announceSoon();
  }

  /** A list of revocations came about here. */
  announceRevocations(signed: SignedRevocations): void {
    // Later lists of an issuer contain what the earlier ones say.
    this.#lists = [...this.#lists, signed].slice(-LISTS_WAITING_MAX);
    this.#announceSoon();
  }

  /** Closes the links to a peer that is not welcome any more. */
  disconnect(peer: PeerId): void {
    this.#network
      ?.disconnect(peer)
      .catch((error: unknown) =>
        this.#parts.logger.debug("a link could not be closed", { peer, reason: String(error) }),
      );
  }

  close(): void {
    this.#closed = true;
    this.#announceTimer?.cancel();
    this.#helloTimer?.cancel();
  }

  #announceSoon(): void {
    const { clock, exchange } = this.#parts;
    if (this.#closed || this.#announceTimer !== undefined) return;
    this.#announceTimer = clock.setTimer("access announce", ANNOUNCE_AFTER_MS, () => {
      this.#announceTimer = undefined;
      const news = { grants: this.#grants, revocations: this.#lists };
      this.#grants = [];
      this.#lists = [];
      this.#perform(exchange.announce(news));
    });
  }

  #helloLater(): void {
    this.#helloTimer = this.#parts.clock.setTimer("access hello", HELLO_EVERY_MS, () => {
      this.#perform(this.#parts.exchange.refresh());
      this.#helloLater();
    });
  }

  #perform(effects: readonly ExchangeEffect[]): void {
    const network = this.#network;
    if (network === undefined || this.#closed) return;
    const { exchange, logger } = this.#parts;
    for (const { kind, to, payload } of effects) {
      const done =
        kind === "send"
          ? network.send(to, ACCESS_PROTOCOL, payload)
          : network
              .request(to, ACCESS_PROTOCOL, payload, { timeoutMs: ASK_TIMEOUT_MS })
              .then((answer) => this.#perform(exchange.answered(to, answer)));
      // The next hello makes up for it.
      done.catch((error: unknown) =>
        logger.debug("grants could not be exchanged", { peer: to, reason: String(error) }),
      );
    }
  }
}
