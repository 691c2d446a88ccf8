import type { Ordering, OrderingParts, OrderingStatus } from "../ordering/ordering.ts";
import { AgreementError } from "../ordering/waiting.ts";
import type { PbftCounters } from "./counters.ts";

/** A member that does not know any more what it has promised. It says nothing, so that nobody is told two things. */
export class LostMember implements Ordering {
  readonly #parts: Pick<OrderingParts, "channel" | "onLost" | "logger">;
  readonly #reason: Error;
  #isStarted = false;

  constructor(parts: Pick<OrderingParts, "channel" | "onLost" | "logger">, reason: Error) {
    this.#parts = parts;
    this.#reason = reason;
  }

  start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    const { channel, logger, onLost } = this.#parts;
    channel.close();
    logger.error("this member takes no part in the group any more", {
      reason: this.#reason.message,
    });
    onLost(this.#reason);
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  submit(): Promise<never> {
    return Promise.reject(lost());
  }

  read(): Promise<never> {
    return Promise.reject(lost());
  }

  change(): Promise<never> {
    return Promise.reject(lost());
  }

  ticket(): Uint8Array {
    throw new AgreementError("consensus.unready", "this member takes no part in the group");
  }

  status(): OrderingStatus {
    return {
      protocol: "pbft",
      standing: "lost",
      leader: undefined,
      term: 0,
      position: 0,
      members: [],
      learners: [],
    };
  }

  counters(): PbftCounters {
    const refused = new Map();
    return { epoch: 0, view: 0, batches: 0, values: 0, refused, evidence: [] };
  }
}

function lost(): AgreementError {
  return new AgreementError("consensus.stopped", "this member has lost its records");
}
