import type { IConnackPacket, IPublishPacket, ISubackPacket } from "mqtt-packet";
import type { Clock, Timer } from "../../clock.ts";
import type { Logger } from "../../logger.ts";
import type {
  OutboundUpdate,
  SendOutcome,
  UplinkConnection,
  UplinkListener,
} from "../../uplink-connection.ts";
import type { TlsFiles } from "../../wire/dial.ts";
import { MqttSession } from "../mqtt-session.ts";
import { Addresses, stateTopic } from "./addresses.ts";
import { readCommand } from "./commands.ts";
import { Delivery } from "./delivery.ts";
import { EdgeNode, type EdgeNodeOptions, type Moment, type Outgoing } from "./edge-node.ts";
import { HostPresence } from "./host-presence.ts";
import type { NodeMemory } from "./node-memory.ts";

/** Settings of one Sparkplug uplink. */
export interface SparkplugUplinkOptions extends EdgeNodeOptions {
  readonly name: string;
  /** Brokers, tried one after the other. */
  readonly urls: readonly [string, ...string[]];
  readonly clientId: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly tls?: TlsFiles | undefined;
  /** `auto` tries 5 and falls back to 3.1.1 where the broker does not know it. */
  readonly protocol: "auto" | "5" | "3.1.1";
  /** Of data messages. 0 as the specification wants it, or 1 for an acknowledgement of each. */
  readonly qos: 0 | 1;
  /** Publish only while this host application is online. */
  readonly primaryHost?: string | undefined;
  /** With several brokers: how long to wait for the primary host at one of them. */
  readonly primaryHostWaitMs: number;
  readonly keepaliveSeconds: number;
  readonly connectTimeoutMs: number;
  readonly inFlightMax: number;
}

/** What a {@link SparkplugUplink} stands on. */
export interface SparkplugGround {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly memory: NodeMemory;
}

const PACKET_BYTES_MAX = 268_435_455 + 5;
const IDS = 65_535;
const SUBSCRIPTION_ID = 1;
const WITH_WILL = 4;
/** Devices are looked at for silence this many times within the time they have. */
const SILENCE_LOOKS = 4;

/**
 * A Sparkplug host's broker as a road out: this agent is an edge node. {@link EdgeNode} says what to publish;
 * this class connects, publishes and settles.
 */
export class SparkplugUplink implements UplinkConnection {
  readonly #options: SparkplugUplinkOptions;
  readonly #ground: SparkplugGround;
  readonly #node: EdgeNode;
  readonly #addresses: Addresses;
  readonly #host = new HostPresence();
  #session: MqttSession | undefined;
  #delivery: Delivery | undefined;
  #pastBytes = 0;
  #listener: UplinkListener | undefined;
  #generation = 0;
  #version: 4 | 5;
  #server = 0;
  #subscribed = false;
  #limits = { inFlightMax: 0, packetBytesMax: PACKET_BYTES_MAX };
  #batch: { update: OutboundUpdate; settle: (outcome: SendOutcome) => void }[] = [];
  #birthUnderWay = false;
  #birthAgain = false;
  #silenceTimer: Timer | undefined;
  /** For the SUBACK, then for the primary host. */
  #waitTimer: Timer | undefined;

  constructor(options: SparkplugUplinkOptions, ground: SparkplugGround) {
    this.#options = options;
    this.#ground = ground;
    this.#node = new EdgeNode(options);
    this.#addresses = new Addresses(options);
    this.#version = options.protocol === "3.1.1" ? 4 : 5;
  }

  get wireBytes(): number {
    return this.#pastBytes + (this.#session?.wireBytes ?? 0);
  }

  connect(listener: UplinkListener): void {
    this.#listener = listener;
    this.#forget();
    void this.#open(++this.#generation);
  }

  send(update: OutboundUpdate, settle: (outcome: SendOutcome) => void): void {
    if (this.#session === undefined || !this.#node.born) return;
    this.#batch.push({ update, settle });
    // Those of one turn go through the node together, so that new metrics cost one birth and not one each.
    if (this.#batch.length === 1) {
      const generation = this.#generation;
      queueMicrotask(() => {
        if (generation === this.#generation) this.#flush();
      });
    }
  }

  publishState(state: Uint8Array): void {
    const message = this.#node.state(Buffer.from(state).toString("utf8"), this.#now());
    if (message !== undefined) this.#delivery?.publish(message);
  }

  async disconnect(): Promise<void> {
    this.#generation++;
    await this.#end();
  }

  async #open(generation: number): Promise<void> {
    const { memory } = this.#ground;
    try {
      for (const declaration of await memory.declarations()) this.#node.restore(declaration);
      const birthSequence = await memory.nextBirthSequence();
      if (generation === this.#generation) this.#dial(generation, birthSequence);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (generation === this.#generation) this.#down(`can not begin: ${reason}`);
    }
  }

  /** @throws Error when a TLS file can not be read. */
  #dial(generation: number, birthSequence: number): void {
    const { urls, clientId, keepaliveSeconds, connectTimeoutMs, username, password, tls } =
      this.#options;
    const will = this.#node.connecting(birthSequence, this.#now());
    const current = () => generation === this.#generation;
    this.#session = new MqttSession(
      {
        url: urls[this.#server % urls.length] ?? urls[0],
        clientId,
        protocolVersion: this.#version,
        clean: true,
        keepaliveSeconds,
        connectTimeoutMs,
        username,
        password,
        tls,
        will: { topic: will.topic, payload: Buffer.from(will.payload), qos: 1, retain: false },
        properties: { sessionExpiryInterval: 0 },
      },
      {
        connected: (connack) => {
          if (current() && this.#session !== undefined) this.#subscribe(connack, this.#session);
        },
        packet: (packet) => {
          if (!current()) return;
          if (packet.cmd === "suback") this.#begin(packet);
          else if (packet.cmd === "puback") this.#delivery?.acknowledged(packet);
          else if (packet.cmd === "publish") this.#receive(packet);
        },
        pong: (ordinal) => {
          if (current()) this.#heard(ordinal);
        },
        closed: (reason, refusedVersion) => {
          if (!current()) return;
          if (refusedVersion && this.#options.protocol === "auto" && this.#version === 5) {
            this.#version = 4;
            this.#forget();
            void this.#open(generation);
          } else this.#down(reason);
        },
      },
    );
  }

  #subscribe({ properties }: IConnackPacket, session: MqttSession): void {
    this.#delivery = new Delivery(session, this.#options.qos, SUBSCRIPTION_ID);
    const { inFlightMax, qos, primaryHost } = this.#options;
    this.#limits = {
      inFlightMax: Math.min(inFlightMax, qos === 1 ? (properties?.receiveMaximum ?? IDS) : IDS),
      packetBytesMax: properties?.maximumPacketSize ?? PACKET_BYTES_MAX,
    };
    const topics = [this.#addresses.node("NCMD"), this.#addresses.device("DCMD", "+")];
    if (primaryHost !== undefined) topics.push(stateTopic(primaryHost));
    session.send({
      cmd: "subscribe",
      messageId: SUBSCRIPTION_ID,
      subscriptions: topics.map((topic) => ({ topic, qos: 1 })),
    });
    const { connectTimeoutMs } = this.#options;
    this.#waitTimer = this.#ground.clock.setTimer("sparkplug.suback", connectTimeoutMs, () =>
      this.#fail(`no SUBACK within ${connectTimeoutMs} ms`),
    );
  }

  /** Births come after the subscriptions, so that no command is missed. */
  #begin({ granted }: ISubackPacket): void {
    if (this.#subscribed) return;
    const codes = granted as readonly number[];
    if (codes.some((code) => code >= 128)) {
      const { edgeNodeId, groupId } = this.#options;
      this.#fail(
        `the broker refused a subscription of edge node ${groupId}/${edgeNodeId}; it must be allowed to read NCMD, DCMD and STATE`,
      );
      return;
    }
    this.#subscribed = true;
    this.#waitTimer?.cancel();
    const { primaryHost, primaryHostWaitMs, urls } = this.#options;
    if (primaryHost === undefined || this.#host.presence === "online") {
      this.#birth();
      return;
    }
    this.#ground.logger.info("waiting for the Sparkplug primary host", { primaryHost });
    this.#listener?.waiting?.(`waiting for primary host ${primaryHost} to come online`);
    if (urls.length > 1)
      this.#waitTimer = this.#ground.clock.setTimer(
        "sparkplug.primary-host",
        primaryHostWaitMs,
        () => this.#fail(`primary host ${primaryHost} is not online at this broker`),
      );
  }

  #birth(): void {
    this.#waitTimer?.cancel();
    // Told first: what our owner says on this occasion, the agent's state, goes into the births.
    this.#listener?.up({ inFlightMax: this.#limits.inFlightMax });
    if (this.#publishBirths(this.#node.birth(this.#now()))) this.#watchSilence();
  }

  #publishBirths(births: readonly Outgoing[]): boolean {
    const { packetBytesMax } = this.#limits;
    for (const birth of births) {
      if (birth.payload.length + birth.topic.length + 16 > packetBytesMax) {
        this.#fail(
          `the birth certificate of ${birth.payload.length} bytes is over the broker's maximum packet size (${packetBytesMax}); raise that, lower metricsMax or spread metrics over devices (deviceFrom)`,
        );
        return false;
      }
      this.#delivery?.publish(birth);
    }
    this.#birthUnderWay = true;
    this.#delivery?.prove();
    return true;
  }

  #flush(): void {
    const batch = this.#batch;
    this.#batch = [];
    const settleOf = new Map(batch.map(({ update, settle }) => [update, settle]));
    const updates = batch.map(({ update }) => update);
    const { packetBytesMax } = this.#limits;
    const effects = this.#node.data(updates, packetBytesMax, this.#now());
    if (effects.declared.length > 0) this.#ground.memory.remember(effects.declared);
    const births = effects.publish.filter(({ update }) => update === undefined);
    if (births.length > 0 && !this.#publishBirths(births)) return;
    for (const message of effects.publish) {
      const settle = message.update === undefined ? undefined : settleOf.get(message.update);
      if (settle !== undefined) this.#delivery?.data(message, settle);
    }
    if (this.#options.qos === 0) this.#delivery?.prove();
    for (const { update, reason } of effects.refused)
      settleOf.get(update)?.({ kind: "refused", permanent: true, reason });
  }

  #heard(ordinal: number): void {
    if (this.#delivery?.heard(ordinal) !== true) return;
    this.#birthUnderWay = false;
    if (this.#birthAgain) this.#rebirth();
  }

  #receive({ topic, payload, qos, messageId }: IPublishPacket): void {
    const bytes = Buffer.from(payload);
    if (qos === 1 && messageId !== undefined) this.#session?.send({ cmd: "puback", messageId });
    const { primaryHost } = this.#options;
    if (primaryHost !== undefined && topic === stateTopic(primaryHost)) this.#hostSaid(bytes);
    else this.#obey(topic, bytes);
  }

  #hostSaid(payload: Uint8Array): void {
    const doubt = this.#host.take(payload);
    const { primaryHost } = this.#options;
    if (doubt !== undefined) {
      this.#ground.logger.warn("state of the Sparkplug primary host not believed", {
        primaryHost,
        doubt,
      });
      return;
    }
    const online = this.#host.presence === "online";
    if (online && this.#subscribed && !this.#node.born) this.#birth();
    else if (!online && this.#node.born) this.#fail(`primary host ${primaryHost} went offline`);
    else if (!online && this.#options.urls.length > 1)
      this.#fail(`primary host ${primaryHost} is offline at this broker`);
  }

  #obey(topic: string, payload: Uint8Array): void {
    const { logger } = this.#ground;
    try {
      const command = readCommand(this.#addresses, topic, payload, (alias) =>
        this.#node.nameOf(alias),
      );
      if (command === undefined) return;
      if (command.ignored.length > 0)
        logger.warn("Sparkplug command for metrics that can not be written", {
          metrics: command.ignored.slice(0, 10),
        });
      for (const { stream, payload } of command.writes) this.#listener?.command(stream, payload);
      if (command.rebirth && this.#node.born) this.#rebirth();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      logger.warn("Sparkplug command can not be read", { topic, reason });
    }
  }

  /** Hosts that ask faster than births can travel get one per round trip. */
  #rebirth(): void {
    this.#birthAgain = this.#birthUnderWay;
    if (!this.#birthUnderWay) this.#publishBirths(this.#node.rebirth(this.#now()));
  }

  #watchSilence(): void {
    const { deviceSilenceMs } = this.#options;
    if (deviceSilenceMs === 0) return;
    this.#silenceTimer = this.#ground.clock.setTimer(
      "sparkplug.device-silence",
      Math.max(1, deviceSilenceMs / SILENCE_LOOKS),
      () => {
        for (const death of this.#node.silentDevices(this.#now())) this.#delivery?.publish(death);
        this.#watchSilence();
      },
    );
  }

  /** Ends a connection that can not be used, in the way that hosts expect. */
  #fail(reason: string): void {
    void this.#end();
    this.#down(reason);
  }

  #down(reason: string): void {
    this.#generation++;
    this.#forget();
    this.#server++;
    this.#listener?.down(reason);
  }

  /** An end that we choose is told by us; only one that takes us unawares is left to the will. */
  #end(): Promise<void> {
    const session = this.#session;
    const wasBorn = this.#node.born;
    const death = this.#node.death(this.#now());
    if (wasBorn) this.#delivery?.publish(death);
    this.#forget();
    return session?.end(this.#version === 5 && wasBorn ? WITH_WILL : 0) ?? Promise.resolve();
  }

  #forget(): void {
    this.#pastBytes = this.wireBytes;
    this.#session = undefined;
    this.#subscribed = false;
    this.#batch = [];
    this.#delivery?.close();
    this.#delivery = undefined;
    this.#birthUnderWay = false;
    this.#birthAgain = false;
    this.#host.reset();
    this.#silenceTimer?.cancel();
    this.#waitTimer?.cancel();
  }

  #now(): Moment {
    const { clock } = this.#ground;
    return { wallMs: clock.wallMs(), monotonicMs: clock.monotonicMs() };
  }
}
