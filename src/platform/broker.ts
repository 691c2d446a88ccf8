/** A message that a sensor published. */
export interface InboundMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly clientId: string;
  /** MQTT 5 Content Type, where the publisher gave one. */
  readonly contentType?: string;
  /** MQTT 5 User Properties, where the publisher gave some; of several with one name, the first. */
  readonly userProperties?: Readonly<Record<string, string>>;
}

/** Why a message was not taken; the publisher is told in as far as its protocol version allows. */
export interface Refusal {
  /** Stable code, for example `outbox.full`. */
  readonly code: string;
  readonly message: string;
}

/**
 * Takes one message and calls `settle` once: without an argument when it is durable (the broker then sends
 * PUBACK or PUBREC), or with the reason why it was refused. Called in the order the publisher sent.
 */
export type InboundHandler = (message: InboundMessage, settle: (refusal?: Refusal) => void) => void;

/** How much the embedded broker remembers, and what had to be left out since the start. */
export interface BrokerMemoryUse {
  readonly sessions: number;
  /** Subscriptions of QoS 1 and 2 among them. */
  readonly subscriptions: number;
  readonly queuedMessages: number;
  readonly queuedBytes: number;
  readonly retained: number;
  readonly retainedBytes: number;
  /** Messages that no room was left for. */
  readonly dropped: number;
  /** Queued messages that expired before their receiver came. */
  readonly expired: number;
  /** Entries of the store that could not be read and were set aside. */
  readonly damaged: number;
}

/** What is known of the broker's state. */
export interface BrokerStatus {
  readonly kind: "embedded" | "client";
  readonly connected: boolean;
  /** Where publishers (embedded) or we (client) connect, without credentials. */
  readonly url: string;
  /** Where publishers connect with TLS. */
  readonly tlsUrl?: string;
  /** Clients connected to the embedded broker. */
  readonly clients?: number;
  /** Connections turned away for their credentials, since the start. */
  readonly refusedConnections?: number;
  /** Publishes and subscriptions that were not permitted, since the start. */
  readonly denied?: number;
  /** What the embedded broker remembers across restarts. */
  readonly remembered?: BrokerMemoryUse;
  /** Messages that subscribers of the embedded broker missed because they did not keep up, since its start. */
  readonly undelivered?: number;
  /** Why it is not connected, in words. */
  readonly reason?: string;
  /** Bytes that came in over the connection to somebody else's broker (client). */
  readonly receivedBytes?: number;
}

/** Where readings come in: a broker of our own, or a client of one that is already on the device. */
export interface Broker {
  /** Starts taking messages. @throws Error naming the setting to change (a taken port, a bad URL). */
  start(handler: InboundHandler): Promise<void>;
  /** Publishes to local clients: retained state, commands that came back. */
  publish(message: {
    topic: string;
    payload: Uint8Array;
    qos: 0 | 1;
    retain: boolean;
  }): Promise<void>;
  status(): BrokerStatus;
  /** Stops taking messages, waits for those that are being settled, and disconnects. Idempotent. */
  stop(): Promise<void>;
}
