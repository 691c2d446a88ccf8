import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Network } from "../../platform/network.ts";
import type { PeerId } from "../../platform/signer.ts";

/** What {@link Parting} works with. */
interface PartingParts {
  readonly clock: Clock;
  readonly network: Network;
  readonly logger: Logger;
}

/** For the good-bye to be taken by every neighbour's link, at most. */
const GOODBYE_MS = 1_000;
/** For what a link has taken to leave. */
const FLUSH_MS = 100;

/** Ends links once what was said last has left: otherwise the other side takes the end for a failure. */
export class Parting {
  readonly #parts: PartingParts;

  constructor(parts: PartingParts) {
    this.#parts = parts;
  }

  /** Closes a link. @param said settles once the link has taken what was said last */
  async hangUp(peer: PeerId, said: Promise<void> | undefined): Promise<void> {
    const { clock, network, logger } = this.#parts;
    await said;
    await new Promise<void>((resolve) => {
      clock.setTimer("mesh.part", FLUSH_MS, resolve);
    });
    await network
      .disconnect(peer)
      .catch((error: unknown) => logger.debug("could not hang up", { peer, error }));
  }

  /**
   * Settles when every link may be closed. A good-bye that is still in some buffer then makes the agent dead instead of
   * gone.
   * @param said as each link takes the good-bye
   */
  async goodbye(said: readonly Promise<void>[]): Promise<void> {
    const { clock } = this.#parts;
    const taken = Promise.allSettled(said);
    await new Promise<void>((resolve) => {
      clock.setTimer("mesh.good-bye", GOODBYE_MS, resolve);
      void taken.then(() => clock.setTimer("mesh.good-bye", FLUSH_MS, resolve));
    });
  }
}
