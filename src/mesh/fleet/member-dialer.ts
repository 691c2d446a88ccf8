import type { Clock } from "../../platform/clock.ts";
import type { Network } from "../../platform/network.ts";
import type { PeerId } from "../../platform/signer.ts";

/** Addresses are tried one after the other, and the one through a relay is the last. */
export const CONNECT_TIMEOUT_MS = 30_000;
/** Dials under way at once; what the membership wants beyond that counts as failed and comes up again. */
const DIALS_MAX = 8;

/** What a {@link MemberDialer} works with. */
interface DialerParts {
  readonly network: Network;
  readonly clock: Clock;
  /** Whether to link to nodes that only neighbours told of. */
  readonly peerExchange: boolean;
  readonly membersMax: number;
  /** Is told of a dial that failed. */
  readonly failed: (peer: PeerId) => void;
}

/** Opens the links that the membership wants: a few at a time, and to those alone that may be dialled. */
export class MemberDialer {
  readonly #parts: DialerParts;
  #underWay = 0;
  /** Who was met otherwise than through neighbours' tales; kept only where those do not count. */
  readonly #met = new Set<PeerId>();

  constructor(parts: DialerParts) {
    this.#parts = parts;
  }

  /** It is known otherwise than from neighbours. */
  meet(peer: PeerId): void {
    const { peerExchange, membersMax } = this.#parts;
    if (peerExchange || this.#met.size >= membersMax) return;
    this.#met.add(peer);
  }

  /** Never rejects: what comes of it is told as any link is, or to `failed`. */
  async dial(peer: PeerId, addresses: readonly string[]): Promise<void> {
    const { network, peerExchange, failed } = this.#parts;
    const mayDial = peerExchange || this.#met.has(peer);
    if (!mayDial || this.#underWay >= DIALS_MAX) {
      this.notNow(peer);
      return;
    }
    this.#underWay++;
    try {
      await network.connect({ peer, addresses }, { timeoutMs: CONNECT_TIMEOUT_MS });
    } catch {
      failed(peer);
    } finally {
      this.#underWay--;
    }
  }

  /** In a turn of its own: the membership is still busy with the step that asked. */
  notNow(peer: PeerId): void {
    const { clock, failed } = this.#parts;
    clock.setTimer("mesh.dial-later", 1, () => failed(peer));
  }
}
