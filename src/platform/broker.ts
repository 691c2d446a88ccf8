/** A message that a sensor published. */
export interface InboundMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly clientId: string;
  /** MQTT 5 Content Type, where the publisher gave one. */
  readonly contentType?: string;
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

/** What is known of the broker's state. */
export interface BrokerStatus {
  readonly kind: "embedded" | "client";
  readonly connected: boolean;
  /** Where publishers (embedded) or we (client) connect, without credentials. */
  readonly url: string;
  /** Clients connected to the embedded broker. */
  readonly clients?: number;
  /** Why it is not connected, in words. */
  readonly reason?: string;
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
