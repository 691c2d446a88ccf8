import type { Stream } from "@libp2p/interface";
import { NetworkError, type Protocol } from "../network.ts";
import type { PeerId } from "../signer.ts";
import { AskingStream } from "./asking-stream.ts";
import type { Tally } from "./tally.ts";

/** Every asking stream, by peer and protocol; opened at first use and kept. */
export class KeptStreams {
  readonly #peers = new Map<PeerId, Map<string, AskingStream | Promise<AskingStream>>>();
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

  /** @returns the stream, at once where there is one @throws NetworkError */
  get(peer: PeerId, protocol: Protocol): AskingStream | Promise<AskingStream> {
    let protocols = this.#peers.get(peer);
    if (protocols === undefined) this.#peers.set(peer, (protocols = new Map()));
    const kept = protocols.get(protocol.id);
    if (kept !== undefined && (kept instanceof Promise || kept.open)) return kept;
    const opening = this.#opened(peer, protocol);
    protocols.set(protocol.id, opening);
    const settled = (stream: AskingStream | undefined): void => {
      // The link may have gone meanwhile, and another have come.
      if (protocols.get(protocol.id) !== opening) return;
      if (stream === undefined) protocols.delete(protocol.id);
      else protocols.set(protocol.id, stream);
    };
    opening.then(settled, () => settled(undefined));
    return opening;
  }

  /** The last link to the peer is gone. */
  drop(peer: PeerId): void {
    const protocols = this.#peers.get(peer);
    this.#peers.delete(peer);
    const error = new NetworkError("network.closed", "the link is gone");
    for (const kept of protocols?.values() ?? []) if (!(kept instanceof Promise)) kept.abort(error);
  }

  async #opened(peer: PeerId, protocol: Protocol): Promise<AskingStream> {
    const stream = await this.#open(peer, protocol.id);
    return new AskingStream(stream, protocol, this.#tally, (kind) => this.#onOffence(peer, kind));
  }
}
