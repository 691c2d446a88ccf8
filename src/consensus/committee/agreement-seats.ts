import type { Clock } from "../../platform/clock.ts";
import type { Hasher } from "../../platform/hasher.ts";
import type { KeyValueStore } from "../../platform/key-value-store.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Random } from "../../platform/random.ts";
import type { Signer } from "../../platform/signer.ts";
import { Agreement } from "../agreement/agreement.ts";
import type { Decision } from "../agreement/decision.ts";
import { defaultAgreementOptions } from "../agreement/options.ts";
import { LostLogError } from "../ordering/lost-log.ts";
import type {
  Beginning,
  GroupChannel,
  Ordering,
  OrderingParts,
  OrderingProtocol,
} from "../ordering/ordering.ts";
import type { MemberStep } from "../ordering/state-machine.ts";
import { AgreementSeat } from "./agreement-seat.ts";
import type { Founding } from "./founding.ts";
import { LostSeatError, type Seat, type SeatListener, type SeatMaker } from "./seat.ts";
import { decodeStep, STEP_TOPIC } from "./step-codec.ts";

const PAGE_ENTRIES = 1_024;
const PAGE_BYTES_MAX = 4 * 1_048_576;

/** What seats are made of. */
export interface SeatsParts {
  readonly signer: Signer;
  readonly store: KeyValueStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly hasher: Hasher;
  readonly logger: Logger;
  readonly channel: (protocol: OrderingProtocol, group: string) => GroupChannel;
  readonly open: (protocol: OrderingProtocol, parts: OrderingParts) => Promise<Ordering>;
  /** Hears of the agreement of a seat before it starts: to set judges, and to listen. */
  readonly onSeat: (agreement: Agreement) => void;
}

/** Takes seats in groups that agree by ballots, over any ordering. */
export class AgreementSeats implements SeatMaker {
  readonly #parts: SeatsParts;

  constructor(parts: SeatsParts) {
    this.#parts = parts;
  }

  found(founding: Founding, listener: SeatListener): Promise<Seat> {
    return this.#take(founding, { kind: "found", members: founding.founders }, listener);
  }

  join(founding: Founding, ticket: Uint8Array, listener: SeatListener): Promise<Seat> {
    return this.#take(founding, { kind: "join", ticket }, listener);
  }

  resume(founding: Founding, listener: SeatListener): Promise<Seat> {
    return this.#take(founding, { kind: "resume" }, listener);
  }

  async isBegun(group: string): Promise<boolean> {
    const found = await this.#parts.store.range({ ...rangeOf(group), limit: 1 });
    return found.length > 0;
  }

  async forget(group: string): Promise<void> {
    const { store } = this.#parts;
    for (;;) {
      const entries = await store.range({
        ...rangeOf(group),
        limit: PAGE_ENTRIES,
        bytesMax: PAGE_BYTES_MAX,
      });
      if (entries.length === 0) return;
      const operations = entries.map(([key]) => ({ type: "del", key }) as const);
      await store.write(operations, { durable: true });
    }
  }

  async #take(
    { group, protocol }: Founding,
    beginning: Beginning,
    listener: SeatListener,
  ): Promise<Seat> {
    const { channel, open, onSeat, ...parts } = this.#parts;
    let agreement: Agreement;
    try {
      agreement = await Agreement.open({
        ...parts,
        group,
        protocol,
        options: defaultAgreementOptions,
        mayChange: (step, accepted) => hasAccepted(parts.signer, step, accepted),
        ordering: (machine) =>
          open(protocol, {
            ...parts,
            group,
            beginning,
            machine,
            channel: channel(protocol, group),
            onChange: () => listener.changed(),
            onLost: (error) => listener.lost(error),
          }),
      });
    } catch (error) {
      if (error instanceof LostLogError) throw new LostSeatError(error.message, { cause: error });
      throw error;
    }
    const seat = new AgreementSeat(agreement, parts.signer, listener);
    onSeat(agreement);
    agreement.start();
    return seat;
  }
}

/** A change of members is carried out when those before it have voted for it. */
function hasAccepted(
  signer: Pick<Signer, "peerIdOf">,
  { kind, peer }: MemberStep,
  accepted: Iterable<Decision>,
): boolean {
  for (const { topic, value } of accepted) {
    const step = topic === STEP_TOPIC ? decodeStep(signer, value) : undefined;
    if (step?.kind === kind && step.peer === peer) return true;
  }
  return false;
}

function rangeOf(group: string): { readonly gte: string; readonly lt: string } {
  return { gte: `c/${group}/`, lt: `c/${group}0` };
}
