import { toHex } from "../../platform/hex.ts";
import { type Network, NetworkError, type Protocol, Refused } from "../../platform/network.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";
import {
  CHANNEL_OVERHEAD_BYTES,
  type ChannelFrame,
  decodeChannelFrame,
  encodeChannelFrame,
} from "./channel-frame.ts";
import { SecureChannel } from "./secure-channel.ts";

/** Carries secure channels. */
export const CHANNEL_PROTOCOL_ID = "/agent-mesh/channel/1.0.0";
const CHANNELS_MAX = 256;
const CHANNELS_PER_PEER_MAX = 16;
const ESTABLISH_TIMEOUT_MS = 10_000;
const TAKEN = new Uint8Array(0);

/** What channels work with. */
interface ChannelParts {
  readonly network: Network;
  readonly random: Random;
  readonly messageBytesMax: number;
  readonly queueBytesMax: number;
  /** Sees to a link. @throws NetworkError */
  link(peer: PeerId): Promise<void>;
}

/** All channels of a node. */
export class Channels {
  readonly #parts: ChannelParts;
  readonly #protocol: Protocol;
  /** By peer and channel id, so that nobody can speak in somebody else's. */
  readonly #open = new Map<string, SecureChannel>();
  #accept: ((channel: SecureChannel) => void) | undefined;

  constructor(parts: ChannelParts) {
    this.#parts = parts;
    this.#protocol = {
      id: CHANNEL_PROTOCOL_ID,
      messageBytesMax: parts.messageBytesMax + CHANNEL_OVERHEAD_BYTES,
      queueBytesMax: parts.queueBytesMax,
      requestsInFlightMax: 64,
    };
    parts.network.serve(this.#protocol, { request: (from, bytes) => this.#take(from, bytes) });
  }

  /** Takes channels that others establish. */
  onChannel(accept: (channel: SecureChannel) => void): void {
    this.#accept = accept;
  }

  /** @throws NetworkError */
  async open(peer: PeerId): Promise<SecureChannel> {
    await this.#parts.link(peer);
    const channelId = toHex(this.#parts.random.bytes(16));
    const channel = this.#add(peer, channelId);
    try {
      const opening = { channelId, sequence: 0, payload: TAKEN, last: false };
      await this.#transmit(peer, opening, ESTABLISH_TIMEOUT_MS);
    } catch (error) {
      channel.fail(error as NetworkError);
      throw error;
    }
    return channel;
  }

  /** The last link to the peer is gone: what was in flight is unknown, so its channels break. */
  unlinked(peer: PeerId): void {
    for (const channel of this.#open.values())
      if (channel.peer === peer)
        channel.fail(new NetworkError("network.closed", "the link to the peer is gone"));
  }

  /** Breaks all of them. */
  close(): void {
    for (const channel of this.#open.values())
      channel.fail(new NetworkError("network.closed", "the mesh stops"));
  }

  #add(peer: PeerId, channelId: string): SecureChannel {
    const name = `${peer}/${channelId}`;
    const channel = new SecureChannel(peer, {
      unreadBytesMax: this.#parts.queueBytesMax,
      transmit: (sequence, payload, last, timeoutMs) =>
        this.#transmit(peer, { channelId, sequence, payload, last }, timeoutMs),
      forget: () => this.#open.delete(name),
    });
    this.#open.set(name, channel);
    return channel;
  }

  async #transmit(peer: PeerId, frame: ChannelFrame, timeoutMs: number): Promise<void> {
    const bytes = encodeChannelFrame(frame);
    await this.#parts.network.request(peer, this.#protocol, bytes, { timeoutMs });
  }

  #take(from: PeerId, bytes: Uint8Array): Uint8Array {
    const frame = decodeChannelFrame(bytes);
    if (frame === undefined) throw new Refused("channel.malformed", "the frame can not be read");
    const { channelId, sequence, payload, last } = frame;
    const channel = this.#open.get(`${from}/${channelId}`);
    if (sequence === 0) this.#establish(from, channelId, channel);
    else if (channel === undefined) throw new Refused("channel.unknown", "no such channel");
    else {
      const refusal = channel.take(sequence, payload, last);
      if (refusal !== undefined) throw new Refused(refusal, "the message is not taken");
    }
    return TAKEN;
  }

  #establish(from: PeerId, channelId: string, existing: SecureChannel | undefined): void {
    if (this.#accept === undefined)
      throw new Refused("channel.unsupported", "nobody here takes channels");
    if (existing !== undefined)
      throw new Refused("channel.replayed", "the channel is established already");
    const ofPeer = [...this.#open.values()].filter(({ peer }) => peer === from).length;
    if (this.#open.size >= CHANNELS_MAX || ofPeer >= CHANNELS_PER_PEER_MAX)
      throw new Refused("channel.too-many", "too many channels are open");
    this.#accept(this.#add(from, channelId));
  }
}
