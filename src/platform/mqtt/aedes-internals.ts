import type { Aedes, Client } from "aedes";

/** What Aedes passes around as a message. */
export type AedesPacket = Parameters<Aedes["authorizePublish"]>[1];

/** The parts of Aedes that its own types leave out; its version is pinned, and tests fail when one is gone. */
export interface AedesInternals extends Aedes {
  readonly persistence: {
    incomingGetPacket(client: Client, packet: AedesPacket): Promise<unknown>;
    subscriptionsByTopic(topic: string): Promise<readonly unknown[]>;
  };
  readonly clients: Readonly<Record<string, AedesClient>>;
  publish(packet: AedesPacket, done: (error?: Error) => void): void;
  /** @param client that the message is from */
  publish(packet: AedesPacket, client: Client, done: (error?: Error) => void): void;
}

/** The parts of a client of Aedes that its own types leave out. */
export interface AedesClient extends Client {
  clean: boolean;
  /** By topic filter; `func` is what the bus calls. */
  readonly subscriptions: Readonly<Record<string, AedesSubscription>>;
  /** Number of the message that was delivered last, by broker. */
  readonly duplicates: Record<string, number>;
  /** Runs while MQTT's keepalive is on. */
  readonly _keepaliveTimer: NodeJS.Timeout | null;
  /** MQTT 5 section 3.1.2.11.7. */
  readonly _requestProblemInformation?: boolean;
}

/** One subscription of a client. */
export interface AedesSubscription {
  readonly qos: 0 | 1 | 2;
  readonly func: unknown;
  /** Subscription identifier. */
  readonly si?: number;
}

/** Puts the keepalive off: a packet came that Aedes did not see. */
export function refreshKeepalive(client: AedesClient): void {
  client["_keepaliveTimer"]?.refresh();
}

/** @returns whether the client wants reason strings (MQTT 5 section 3.1.2.11.7). */
export function wantsReasons(client: AedesClient): boolean {
  return client["_requestProblemInformation"] !== false;
}
