import type { TokenStore } from "../access/tokens.ts";
import { Attachment } from "../mesh/bridge/attachment.ts";
import { gatewayPrincipal } from "../mesh/bridge/gateway-principal.ts";
import { BridgeHub, type HubLimits, type LinkChange } from "../mesh/bridge/hub.ts";
import type { BridgeOptions } from "../mesh/bridge/options.ts";
import type { BridgeStatus, BridgeView, GatewayStatus } from "../mesh/bridge/view.ts";
import type { MeshNode } from "../mesh/node.ts";
import { backoffMs } from "../platform/backoff.ts";
import type { BridgeClient, BridgeServer } from "../platform/bridge.ts";
import type { Clock } from "../platform/clock.ts";
import type { EventSink } from "../platform/event-sink.ts";
import type { Logger } from "../platform/logger.ts";
import type { Random } from "../platform/random.ts";
import type { Signer } from "../platform/signer.ts";
import type { BridgeGround } from "./agent-platform.ts";
import { MeshBackend } from "./bridge-backend.ts";
import { bridgeDoor } from "./bridge-principals.ts";

/** Messages at once on their way into the mesh. */
const PUBLISHES_MAX = 64;
/** How long the other end of a link may take to say who it is. */
const HANDSHAKE_MS = 10_000;

/** What the bridge of an agent is made of. */
export interface BridgeSurroundings {
  readonly ground: BridgeGround;
  readonly node: MeshNode;
  readonly signer: Signer;
  readonly tokens: TokenStore;
  readonly events: EventSink;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

interface Gateway {
  readonly url: string;
  readonly client: BridgeClient;
  readonly attachment: Attachment;
}

/** The bridge as a part of the agent: the door where it listens, and what keeps it attached to gateways. */
export class BridgePart implements BridgeView {
  readonly #bridgeId: string;
  readonly #hub: BridgeHub;
  readonly #server: BridgeServer | undefined;
  readonly #gateways: readonly Gateway[];

  /** @throws Error for a mesh node that is a bridge already */
  constructor(options: BridgeOptions, parts: BridgeSurroundings) {
    const { ground, node, signer, tokens, events, clock, random, logger } = parts;
    // Nobody else has it, and it stays over restarts.
    this.#bridgeId = node.id;
    this.#hub = new BridgeHub({
      bridgeId: node.id,
      backend: new MeshBackend(node, clock),
      signer,
      clock,
      random: random.fork("hub"),
      logger,
      topicsUp: options.topicsUp,
      topicsDown: options.topicsDown,
      limits: hubLimits(options),
      onLink: (change) => tellOfLink(events, change),
    });
    this.#server = options.listen.enabled
      ? ground.createServer(bridgeDoor(tokens, (certificate) => ground.deviceIn(certificate)))
      : undefined;
    const retries = random.fork("backoff");
    this.#gateways = options.connect.map((gateway) => {
      const { name, url, tasks } = gateway;
      const client = ground.createClient(gateway);
      const principal = gatewayPrincipal(name, tasks);
      const attachment = new Attachment({
        name,
        client,
        hub: this.#hub,
        principal,
        clock,
        logger,
        backoffMs: (attempt) => backoffMs(attempt, options, retries),
      });
      return { url, client, attachment };
    });
  }

  /** `grpc://host:port` or `grpcs://host:port` to reach it from this device; undefined where it does not listen. */
  get url(): string | undefined {
    // What listens everywhere is reached here by the loopback address.
    return this.#server
      ?.address()
      ?.replace("//0.0.0.0:", "//127.0.0.1:")
      .replace("//[::]:", "//[::1]:");
  }

  /** @throws Error naming the setting when the address can not be had or a file not be used */
  async start(): Promise<void> {
    this.#hub.start();
    await this.#server?.start(this.#hub);
    for (const { attachment } of this.#gateways) attachment.start();
  }

  /** Ends the links, then the hub, then the door. Idempotent. */
  async stop(): Promise<void> {
    for (const { attachment } of this.#gateways) attachment.stop();
    this.#hub.stop();
    await this.#server?.stop();
  }

  status(): BridgeStatus {
    const { url } = this;
    const links = this.#hub.links().map(({ role, peer: { bridgeId, peerId } }) => ({
      role,
      bridgeId,
      ...(peerId !== undefined && { peerId }),
    }));
    return {
      enabled: true,
      bridgeId: this.#bridgeId,
      ...(url !== undefined &&
        this.#server !== undefined && { listen: { url, ...this.#server.counters() } }),
      gateways: this.#gateways.map(gatewayStatus),
      links,
      counters: this.#hub.counters(),
    };
  }
}

function gatewayStatus({ url, client, attachment }: Gateway): GatewayStatus {
  const { sentBytes, receivedBytes } = client.counters();
  return { ...attachment.status(), url, sentBytes, receivedBytes };
}

function hubLimits({ limits, messageBytesMax, timeoutMsMax, connect }: BridgeOptions): HubLimits {
  return {
    messageBytesMax,
    timeoutMsMax,
    requestsMax: limits.requestsMax,
    linksMax: limits.streamsMax + connect.length,
    subscribersMax: limits.streamsMax,
    agentsMax: limits.agentsMax,
    hopsMax: limits.hopsMax,
    seenMax: limits.seenMax,
    queueBytesMax: limits.queueBytesMax,
    publishesMax: PUBLISHES_MAX,
    handshakeMs: HANDSHAKE_MS,
  };
}

function tellOfLink(events: EventSink, { kind, role, principal, peer, reason }: LinkChange): void {
  const { bridgeId, peerId } = peer;
  events.emit(kind === "up" ? "bridge.attached" : "bridge.detached", {
    role,
    with: principal,
    bridgeId,
    ...(peerId !== undefined && { peerId }),
    ...(reason !== undefined && { reason }),
  });
}
