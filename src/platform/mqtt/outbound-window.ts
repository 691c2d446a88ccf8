/** What the far end allows (MQTT 5 section 3.1.2.11). */
export interface OutboundLimits {
  /** QoS 1 and 2 messages that it has not acknowledged. */
  readonly receiveMaximum: number;
  readonly packetBytesMax: number;
}

/** Where an {@link OutboundWindow} puts things. */
export interface OutboundSink {
  /** On the wire. */
  write(frame: Buffer): void;
  /** The far end can not take this packet at all; it counts as delivered (MQTT 5 section 3.1.2.11.4). */
  skipped(qos: number, messageId: number): void;
  /** Nothing is held back any more. */
  drained(): void;
}

const PUBLISH = 3;
/** Other versions than 5 name no limit; more in flight than this would only fill the client's memory. */
export const RECEIVE_MAXIMUM_UNTOLD = 1_000;

/**
 * Keeps to the limits that a subscriber named: messages over its Receive Maximum wait here, in order, until
 * it has acknowledged others.
 */
export class OutboundWindow {
  readonly #sink: OutboundSink;
  #limits: OutboundLimits = {
    receiveMaximum: RECEIVE_MAXIMUM_UNTOLD,
    packetBytesMax: Number.POSITIVE_INFINITY,
  };
  readonly #inFlight = new Set<number>();
  #held: Buffer[] = [];
  #firstHeld = 0;
  #heldBytes = 0;

  constructor(sink: OutboundSink) {
    this.#sink = sink;
  }

  limit(limits: OutboundLimits): void {
    this.#limits = limits;
  }

  /** Bytes that wait for acknowledgements. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  send(frame: Buffer): void {
    const head = frame[0] ?? 0;
    const qos = (head >> 1) & 3;
    if (head >> 4 !== PUBLISH) {
      this.#sink.write(frame);
      return;
    }
    const messageId = qos === 0 ? 0 : messageIdOf(frame);
    if (frame.length > this.#limits.packetBytesMax) this.#sink.skipped(qos, messageId);
    else if (qos === 0) this.#sink.write(frame);
    else if (this.#heldBytes > 0 || this.#inFlight.size >= this.#limits.receiveMaximum) {
      this.#held.push(frame);
      this.#heldBytes += frame.length;
    } else {
      this.#inFlight.add(messageId);
      this.#sink.write(frame);
    }
  }

  /** The far end is done with this message: PUBACK, PUBCOMP, or a PUBREC that refuses it. */
  acknowledged(messageId: number): void {
    if (!this.#inFlight.delete(messageId)) return;
    const frame = this.#held[this.#firstHeld];
    if (frame === undefined) return;
    this.#firstHeld++;
    this.#heldBytes -= frame.length;
    this.#inFlight.add(messageIdOf(frame));
    this.#sink.write(frame);
    if (this.#firstHeld === this.#held.length) {
      this.#held = [];
      this.#firstHeld = 0;
      this.#sink.drained();
    } else if (this.#firstHeld >= 1_024) {
      this.#held = this.#held.slice(this.#firstHeld);
      this.#firstHeld = 0;
    }
  }
}

/** Of a PUBLISH with QoS 1 or 2. */
function messageIdOf(frame: Buffer): number {
  let at = 1;
  while (((frame[at] ?? 0) & 0x80) !== 0) at++;
  const topicBytes = frame.readUInt16BE(at + 1);
  return frame.readUInt16BE(at + 3 + topicBytes);
}
