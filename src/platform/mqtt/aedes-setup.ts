import type { EventEmitter } from "node:events";
import { Aedes, type Client } from "aedes";
import type { Logger } from "../logger.ts";
import { asSubscribed, keepResumedSession } from "./aedes-corrections.ts";
import type { AedesClient, AedesInternals, AedesPacket } from "./aedes-internals.ts";
import type { BrokerState } from "./broker-state/broker-state.ts";
import { type Doorkeeper, NotPermitted } from "./doorkeeper.ts";
import { LocalBus } from "./local-bus.ts";
import { forgoNumberCache } from "./packet-numbers.ts";

/** What Aedes is set up with. */
export interface AedesParts {
  readonly packetBytesMax: number;
  readonly receiveMaximum: number;
  readonly sessionExpirySecondsMax: number;
  /** Sessions whose clients are away. */
  readonly sessionsMax: number;
  /** Without it, sessions and retained messages end with the process. */
  readonly state: BrokerState | undefined;
  readonly door: Doorkeeper;
  readonly logger: Logger;
  /** Takes QoS 2 messages and wills; `done` is called when they are kept, or refused. */
  readonly take: (
    client: Client | null,
    packet: AedesPacket,
    done: (error?: Error | null) => void,
  ) => void;
  /** The client's CONNACK is on its way. */
  readonly admitted: (client: Client) => void;
  /** Something ended a client's connection, or a message was refused. */
  readonly fault: (client: Client, reason: string) => void;
}

/** Aedes, and the bus by which it reaches its subscribers. */
export interface RunningAedes {
  readonly aedes: AedesInternals;
  readonly bus: LocalBus;
}

const CONNECT_TIMEOUT_MS = 10_000;
/** How long a subscriber may take none of what waits for it. */
const DRAIN_TIMEOUT_MS = 600_000;

/** Starts Aedes with every hook that the broker has in it. @throws StoreError */
export async function openAedes(parts: AedesParts): Promise<RunningAedes> {
  forgoNumberCache();
  const { state, door } = parts;
  const resuming = new WeakSet<Client>();
  const bus = new LocalBus((filter, deliver) => {
    for (const client of Object.values(aedes.clients)) {
      const subscription = client.subscriptions[filter];
      if (subscription?.func === deliver) return subscription.qos;
    }
    return 0;
  });
  const aedes = new Aedes({
    mq: bus,
    ...(state === undefined ? {} : { persistence: state }),
    maximumPacketSize: parts.packetBytesMax,
    receiveMaximum: parts.receiveMaximum,
    sessionExpiryIntervalLimit: parts.sessionExpirySecondsMax,
    pendingSessionsLimit: parts.sessionsMax,
    connectTimeout: CONNECT_TIMEOUT_MS,
    drainTimeout: DRAIN_TIMEOUT_MS,
    preConnect: (client, { clean, will }, done) => {
      if (clean === false) resuming.add(client);
      door.noteWill(client, will?.topic);
      done(null, true);
    },
    authenticate: (client, username, password, done) => {
      const admit = async (): Promise<void> => {
        const refusal = await door.admit(client, username, password);
        keepResumedSession(client as AedesClient, !resuming.has(client));
        done(refusal ?? null, refusal === undefined);
      };
      void admit();
    },
    authorizePublish: parts.take,
    authorizeSubscribe: (client, subscription, done) =>
      done(null, door.maySubscribe(client, subscription.topic) ? subscription : null),
    authorizeForward: (client, packet) => {
      if (!door.mayReceive(client, packet.topic)) return null;
      if (state?.mayDeliver(client, packet) === false) return null;
      if (state?.wasSentBefore(packet) === true) packet.dup = true;
      return asSubscribed(client as AedesClient, packet);
    },
  }) as AedesInternals;
  await aedes.listen();
  listenTo(aedes, parts);
  return { aedes, bus };
}

function listenTo(aedes: AedesInternals, { state, logger, admitted, fault }: AedesParts): void {
  aedes.on("client", (client) => state?.arrived(client));
  aedes.on("clientDisconnect", (client) => state?.left(client));
  aedes.on("connackSent", (_connack, client) => admitted(client));
  // Without a listener, an error that Aedes does not know what to do with would end the agent.
  (aedes as EventEmitter).on("error", (error: Error) =>
    logger.error("MQTT broker failed at something", { reason: error.message }),
  );
  const complain = (client: Client, error: Error): void => {
    // The doorkeeper tells that, once per connection.
    if (!(error instanceof NotPermitted)) fault(client, error.message);
  };
  aedes.on("clientError", complain);
  aedes.on("connectionError", complain);
}
