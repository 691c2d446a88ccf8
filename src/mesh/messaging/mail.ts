import type { Clock } from "../../platform/clock.ts";
import { type Network, NetworkError, type Protocol, Refused } from "../../platform/network.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";
import { decodeEnvelope, ENVELOPE_OVERHEAD_BYTES, encodeEnvelope } from "./envelope.ts";
import { Inbox } from "./inbox.ts";
import { EARLY, OutboxToPeer } from "./outbox-to-peer.ts";

/** Carries messages to single peers. */
export const MAIL_PROTOCOL_ID = "/agent-mesh/mail/1.0.0";
/** Peers that something may wait for at once. */
const PEERS_MAX = 1_024;
const ACKNOWLEDGED = new Uint8Array(0);

/** What mail works with. */
interface MailParts {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly epoch: number;
  readonly messageBytesMax: number;
  readonly queueBytesMax: number;
  /** Sees to a link. @throws NetworkError */
  link(peer: PeerId): Promise<void>;
  /** @throws Refused */
  receive(from: PeerId, payload: Uint8Array): void | Promise<void>;
}

/** Messages to single peers, each taken once and in order, over links that may break. */
export class Mail {
  readonly #parts: MailParts;
  readonly #protocol: Protocol;
  readonly #inbox = new Inbox();
  readonly #outboxes = new Map<PeerId, OutboxToPeer>();
  #firstSequence = 1;

  constructor(parts: MailParts) {
    this.#parts = parts;
    this.#protocol = {
      id: MAIL_PROTOCOL_ID,
      messageBytesMax: parts.messageBytesMax + ENVELOPE_OVERHEAD_BYTES,
      queueBytesMax: parts.queueBytesMax,
      requestsInFlightMax: 64,
    };
    parts.network.serve(this.#protocol, {
      request: (from, bytes) => this.#take(from, bytes),
    });
  }

  /** @throws NetworkError, see {@link OutboxToPeer.send} */
  send(peer: PeerId, payload: Uint8Array, timeoutMs: number): Promise<void> {
    const { messageBytesMax } = this.#parts;
    if (payload.length > messageBytesMax) {
      const said = `a message of ${payload.length} bytes is past the ${messageBytesMax} that mesh.limits.messageBytesMax allows`;
      return Promise.reject(new NetworkError("network.too-large", said));
    }
    const outbox = this.#outboxes.get(peer) ?? this.#openOutbox(peer);
    if (outbox !== undefined) return outbox.send(payload, timeoutMs);
    const said = `messages wait for ${PEERS_MAX} peers already`;
    return Promise.reject(new NetworkError("network.queue-full", said));
  }

  /** A link to the peer is open. */
  linked(peer: PeerId): void {
    this.#outboxes.get(peer)?.linked();
  }

  /** Everything that waits fails. */
  close(): void {
    for (const outbox of this.#outboxes.values())
      outbox.close(new NetworkError("network.closed", "the mesh stops"));
  }

  #openOutbox(peer: PeerId): OutboxToPeer | undefined {
    if (this.#outboxes.size >= PEERS_MAX && !this.#forgetIdle()) return undefined;
    const { network, clock, random, epoch, queueBytesMax } = this.#parts;
    const outbox = new OutboxToPeer({
      clock,
      random,
      epoch,
      firstSequence: this.#firstSequence,
      queueBytesMax,
      link: () => this.#parts.link(peer),
      deliver: async (envelope, timeoutMs) => {
        await network.request(peer, this.#protocol, encodeEnvelope(envelope), { timeoutMs });
      },
    });
    this.#outboxes.set(peer, outbox);
    return outbox;
  }

  /** What begins after that begins above everything that was ever sent to those forgotten. */
  #forgetIdle(): boolean {
    for (const [peer, outbox] of this.#outboxes) {
      if (!outbox.idle) continue;
      this.#firstSequence = Math.max(this.#firstSequence, outbox.nextSequence);
      this.#outboxes.delete(peer);
      return true;
    }
    return false;
  }

  async #take(from: PeerId, bytes: Uint8Array): Promise<Uint8Array> {
    const envelope = decodeEnvelope(bytes);
    if (envelope === undefined) throw new Refused("mail.malformed", "the envelope can not be read");
    const verdict = this.#inbox.judge(from, envelope);
    if (verdict === "early") throw new Refused(EARLY, "an earlier message has not come yet");
    // A copy is acknowledged again: the first acknowledgement was lost.
    if (verdict === "new") await this.#parts.receive(from, envelope.payload);
    return ACKNOWLEDGED;
  }
}
