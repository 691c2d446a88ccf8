import { NetworkError } from "../../platform/network.ts";
import type { PeerId } from "../../platform/signer.ts";

/** What waits to be received; further messages are refused until some is. */
const UNREAD_MESSAGES_MAX = 256;
const SEND_TIMEOUT_MS = 10_000;

/** How a channel reaches the other side; the node's. */
export interface ChannelPort {
  /** Bytes that may wait to be received. */
  readonly unreadBytesMax: number;
  /** @throws NetworkError */
  transmit(sequence: number, payload: Uint8Array, last: boolean, timeoutMs: number): Promise<void>;
  /** The channel is closed on both sides, or broken. */
  forget(): void;
}

/** Opens channels; a `MeshNode` does. */
export interface ChannelOpener {
  openChannel(peer: PeerId): Promise<SecureChannel>;
}

/**
 * A two-way conversation with one peer. The link beneath it authenticates both sides and encrypts with forward
 * secrecy (Noise XX or TLS 1.3), end to end, also through a relay; the channel adds that each message arrives once
 * and in its order, or the channel breaks and says so.
 */
export class SecureChannel {
  readonly peer: PeerId;
  readonly #port: ChannelPort;
  readonly #unread: Uint8Array[] = [];
  #unreadBytes = 0;
  #sent = 0;
  #received = 0;
  #sending: Promise<void> = Promise.resolve();
  #readers: {
    resolve: (payload: Uint8Array | undefined) => void;
    reject: (error: NetworkError) => void;
  }[] = [];
  #remoteDone = false;
  #localDone = false;
  #broken: NetworkError | undefined;

  /** Made by {@link SecureChannel.establish}, and by the node for channels that others establish. */
  constructor(peer: PeerId, port: ChannelPort) {
    this.peer = peer;
    this.#port = port;
  }

  /**
   * Opens a channel to a member of the mesh, over a link that is opened if there is none.
   * @throws NetworkError `network.refused` when nobody there accepts channels, `network.unreachable`
   */
  static establish(node: ChannelOpener, peer: PeerId): Promise<SecureChannel> {
    return node.openChannel(peer);
  }

  /**
   * Sends one message after all earlier ones. @returns once the other side holds it
   * @throws NetworkError; the channel is broken then
   */
  send(payload: Uint8Array, { timeoutMs = SEND_TIMEOUT_MS } = {}): Promise<void> {
    if (this.#localDone)
      return Promise.reject(new NetworkError("network.closed", "the channel is closed"));
    return this.#enqueue(payload, false, timeoutMs);
  }

  /** @returns the next message, or undefined once the other side has closed @throws NetworkError when it broke */
  receive(): Promise<Uint8Array | undefined> {
    const payload = this.#unread.shift();
    if (payload !== undefined) {
      this.#unreadBytes -= payload.length;
      return Promise.resolve(payload);
    }
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    if (this.#remoteDone) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
  }

  /** Says that nothing more will be sent; what the other side still sends can be received. */
  async close(): Promise<void> {
    if (this.#localDone || this.#broken !== undefined) return;
    this.#localDone = true;
    await this.#enqueue(new Uint8Array(0), true, SEND_TIMEOUT_MS).catch(() => undefined);
    if (this.#remoteDone) this.#port.forget();
  }

  /** For the node: a frame came. @returns the code with which to refuse it, or undefined */
  take(sequence: number, payload: Uint8Array, last: boolean): string | undefined {
    if (this.#broken !== undefined || this.#remoteDone) return "channel.closed";
    if (sequence <= this.#received) return "channel.replayed";
    if (sequence > this.#received + 1) {
      this.fail(new NetworkError("network.closed", "a message of the channel is missing"));
      return "channel.gap";
    }
    const { unreadBytesMax } = this.#port;
    const full =
      this.#unread.length >= UNREAD_MESSAGES_MAX ||
      (this.#unread.length > 0 && this.#unreadBytes + payload.length > unreadBytesMax);
    if (full) return "channel.full";
    this.#received = sequence;
    if (last) {
      this.#remoteDone = true;
      for (const { resolve } of this.#readers.splice(0)) resolve(undefined);
      if (this.#localDone) this.#port.forget();
      return undefined;
    }
    const reader = this.#readers.shift();
    if (reader === undefined) {
      this.#unread.push(payload);
      this.#unreadBytes += payload.length;
    } else {
      reader.resolve(payload);
    }
    return undefined;
  }

  /** For the node: the link is gone, or the node stops. */
  fail(error: NetworkError): void {
    if (this.#broken !== undefined) return;
    this.#broken = error;
    for (const { reject } of this.#readers.splice(0)) reject(error);
    this.#port.forget();
  }

  /** One at a time: the answer to a frame says that the next one may come. */
  #enqueue(payload: Uint8Array, last: boolean, timeoutMs: number): Promise<void> {
    const sent = this.#sending.then(async () => {
      if (this.#broken !== undefined) throw this.#broken;
      this.#sent++;
      try {
        await this.#port.transmit(this.#sent, payload, last, timeoutMs);
      } catch (error) {
        const cause = error as NetworkError;
        // Nothing was taken in: the same number may be used again.
        if (cause.refusal === "channel.full") this.#sent--;
        else this.fail(cause);
        throw cause;
      }
    });
    this.#sending = sent.catch(() => undefined);
    return sent;
  }
}
