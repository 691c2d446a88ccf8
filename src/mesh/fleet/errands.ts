import type { Clock, Timer } from "../../platform/clock.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";

/** What errands work with. */
export interface ErrandsParts {
  readonly clock: Clock;
  readonly random: Random;
  /** Opens a link. @returns whether there was none before @throws NetworkError */
  readonly open: (peer: PeerId) => Promise<boolean>;
  /** Closes it, so that nobody takes its end for a failure. */
  readonly part: (peer: PeerId) => void;
  /** The fleet is so small that everybody can have a link to everybody. */
  readonly hasRoom: () => boolean;
}

/** A link that was opened for an errand. */
interface Opened {
  /** Errands under way. */
  uses: number;
  /** When what was last said on it has been answered. */
  untilMs: number;
  timer: Timer | undefined;
}

/** How an errand is run. */
export interface ErrandOptions {
  /** After its end the link stays for so long: the peer may want to ask back, or another errand follow. */
  readonly lingerMs?: number;
  /** In a fleet in which not everybody can have a link to everybody, one that is not to be had is tried again for so long. */
  readonly patienceMs?: number;
}

const LINGER_MS = 200;
/** The first pause before a link is tried again, with chance; each one after that is twice as long. */
const PAUSE_MS = 500;

/**
 * Links for a question to somebody who is no neighbour. In a fleet that is larger than what one agent can have links, whoever all have
 * something to say to could not be reached if everybody stayed: who opens a link for an errand closes it behind itself.
 */
export class Errands {
  readonly #parts: ErrandsParts;
  readonly #opened = new Map<PeerId, Opened>();
  #isStopped = false;

  constructor(parts: ErrandsParts) {
    this.#parts = parts;
  }

  /**
   * Does something over a link to a peer, which is opened if there is none.
   * @throws NetworkError, and what the work throws
   */
  async run<T>(
    peer: PeerId,
    work: () => Promise<T>,
    { lingerMs = LINGER_MS, patienceMs = 0 }: ErrandOptions = {},
  ): Promise<T> {
    const { open, clock } = this.#parts;
    const before = this.#opened.get(peer);
    const isOpened = before !== undefined || (await this.#open(peer, patienceMs));
    if (!isOpened) return work();
    // Meanwhile another errand may have come to the same peer.
    const link = this.#opened.get(peer) ?? { uses: 0, untilMs: 0, timer: undefined };
    this.#opened.set(peer, link);
    link.uses++;
    link.timer?.cancel();
    try {
      if (before !== undefined) await open(peer);
      return await work();
    } finally {
      link.uses--;
      link.untilMs = Math.max(link.untilMs, clock.monotonicMs() + lingerMs);
      if (link.uses === 0) this.#closeLater(peer, link);
    }
  }

  /** The link to a peer is gone. */
  linkDown(peer: PeerId): void {
    const link = this.#opened.get(peer);
    if (link === undefined) return;
    link.timer?.cancel();
    this.#opened.delete(peer);
  }

  stop(): void {
    this.#isStopped = true;
    for (const peer of this.#opened.keys()) this.linkDown(peer);
  }

  /** Somebody to whom many have something to say has room again soon: each of them goes after a moment. */
  async #open(peer: PeerId, patienceMs: number): Promise<boolean> {
    const { open, clock, random, hasRoom } = this.#parts;
    const untilMs = clock.monotonicMs() + patienceMs;
    for (let pauseMs = PAUSE_MS; ; pauseMs *= 2) {
      try {
        return await open(peer);
      } catch (error) {
        const waitMs = pauseMs * (0.5 + random.next());
        const isStopped = this.#isStopped || hasRoom();
        if (isStopped || clock.monotonicMs() + waitMs > untilMs) throw error;
        await new Promise<void>((resolve) => {
          clock.setTimer("mesh.errand", waitMs, resolve);
        });
      }
    }
  }

  #closeLater(peer: PeerId, link: Opened): void {
    const { clock, part, hasRoom } = this.#parts;
    if (this.#opened.get(peer) !== link) return;
    const waitMs = Math.max(1, link.untilMs - clock.monotonicMs());
    link.timer = clock.setTimer("mesh.errand", waitMs, () => {
      this.#opened.delete(peer);
      if (!hasRoom()) part(peer);
    });
  }
}
