import type { PeerId } from "../../platform/signer.ts";
import { heightOf, type TendermintMessage } from "./messages.ts";

/** Peers whose messages are kept. */
const PEERS_MAX = 256;

/** A message, and who brought it. */
export interface Received {
  readonly from: PeerId;
  readonly message: TendermintMessage;
}

/** Messages of heights that have not begun. Bounded by peer, so that none can crowd out the others. */
export class FutureMessages {
  readonly #ofPeerMax: number;
  readonly #peers = new Map<PeerId, TendermintMessage[]>();

  constructor(ofPeerMax: number) {
    this.#ofPeerMax = ofPeerMax;
  }

  /** @returns whether it is kept */
  add(from: PeerId, message: TendermintMessage): boolean {
    const kept = this.#peers.get(from) ?? [];
    if (kept.length >= this.#ofPeerMax || (kept.length === 0 && this.#peers.size >= PEERS_MAX))
      return false;
    kept.push(message);
    this.#peers.set(from, kept);
    return true;
  }

  /** Takes out what is kept up to a height. @returns only what is of that height */
  take(height: number): Received[] {
    const taken: Received[] = [];
    for (const [from, messages] of this.#peers) {
      const later = messages.filter((message) => heightOf(message) > height);
      for (const message of messages)
        if (heightOf(message) === height) taken.push({ from, message });
      if (later.length === 0) this.#peers.delete(from);
      else this.#peers.set(from, later);
    }
    return taken;
  }
}
