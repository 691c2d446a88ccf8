import type { Stream } from "@libp2p/interface";
import { NetworkError, type Protocol } from "../network.ts";
import type { Tally } from "../network-tally.ts";
import type { PeerId } from "../signer.ts";
import { AskingStream } from "./asking-stream.ts";

/** What waits for a stream to open counts for at least this. */
const WAITING_COST_BYTES_MIN = 256;

interface Opening {
  readonly stream: Promise<AskingStream>;
  waitingBytes: number;
}

/** Every asking stream, by peer and protocol; opened at first use and kept. */
export class KeptStreams {
  readonly #peers = new Map<PeerId, Map<string, AskingStream | Opening>>();
  readonly #open: (peer: PeerId, protocolId: string) => Promise<Stream>;
  readonly #tally: Tally;
  readonly #onOffence: (peer: PeerId, kind: string) => void;

  constructor(
    open: (peer: PeerId, protocolId: string) => Promise<Stream>,
    tally: Tally,
    onOffence: (peer: PeerId, kind: string) => void,
  ) {
    this.#open = open;
    this.#tally = tally;
    this.#onOffence = onOffence;
  }

  /**
   * @param bytes that wait for it, should it have to be opened
   * @returns the stream, at once where there is one
   * @throws NetworkError
   */
  get(peer: PeerId, protocol: Protocol, bytes: number): AskingStream | Promise<AskingStream> {
    const kept = this.#peers.get(peer)?.get(protocol.id);
    if (kept instanceof AskingStream && kept.open) return kept;
    const opening = kept === undefined || kept instanceof AskingStream ? undefined : kept;
    const { stream } = this.#waiting(opening ?? this.#opening(peer, protocol), protocol, bytes);
    return stream;
  }

  /** The last link to the peer is gone. */
  drop(peer: PeerId): void {
    const protocols = this.#peers.get(peer);
    this.#peers.delete(peer);
    const error = new NetworkError("network.closed", "the link is gone");
    for (const kept of protocols?.values() ?? [])
      if (kept instanceof AskingStream) kept.abort(error);
  }

  /** Nothing more is said to anybody; the last words still arrive, where that takes no longer. */
  async finishAll(withinMs: number): Promise<void> {
    const signal = AbortSignal.timeout(withinMs);
    const kept = [...this.#peers.values()].flatMap((protocols) => [...protocols.values()]);
    const open = kept.filter((stream) => stream instanceof AskingStream);
    await Promise.all(open.map((stream) => stream.finish(signal)));
    this.#peers.clear();
  }

  #waiting(opening: Opening, { id, queueBytesMax }: Protocol, bytes: number): Opening {
    const waitingBytes = opening.waitingBytes + Math.max(bytes, WAITING_COST_BYTES_MIN);
    if (opening.waitingBytes > 0 && waitingBytes > queueBytesMax)
      throw new NetworkError(
        "network.queue-full",
        `${opening.waitingBytes} bytes wait for ${id} to be opened`,
      );
    opening.waitingBytes = waitingBytes;
    return opening;
  }

  #opening(peer: PeerId, protocol: Protocol): Opening {
    const opening: Opening = { stream: this.#opened(peer, protocol), waitingBytes: 0 };
    let protocols = this.#peers.get(peer);
    if (protocols === undefined) this.#peers.set(peer, (protocols = new Map()));
    protocols.set(protocol.id, opening);
    const settled = (stream: AskingStream | undefined): void => {
      // The link may have gone meanwhile, and another have come.
      if (this.#peers.get(peer)?.get(protocol.id) !== opening) return;
      if (stream !== undefined) protocols.set(protocol.id, stream);
      else protocols.delete(protocol.id);
      if (protocols.size === 0) this.#peers.delete(peer);
    };
    opening.stream.then(settled, () => settled(undefined));
    return opening;
  }

  async #opened(peer: PeerId, protocol: Protocol): Promise<AskingStream> {
    const stream = await this.#open(peer, protocol.id);
    return new AskingStream(stream, protocol, this.#tally, (kind) => this.#onOffence(peer, kind));
  }
}

/** @throws NetworkError when the stream is not there in time; whoever else waits for it goes on waiting */
export async function openedWithin<T>(
  opening: Promise<T>,
  protocolId: string,
  timeoutMs: number,
): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timeout = setTimeout(
    () => reject(new NetworkError("network.timeout", `${protocolId} not open in ${timeoutMs} ms`)),
    timeoutMs,
  );
  try {
    return await Promise.race([opening, promise]);
  } finally {
    clearTimeout(timeout);
  }
}
