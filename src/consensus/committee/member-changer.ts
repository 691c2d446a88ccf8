import { create } from "@bufbuild/protobuf";
import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { PeerId } from "../../platform/signer.ts";
import {
  CommitteeAdmissionSchema,
  type CommitteeRecord,
} from "../../wire/agent_mesh/v1/committee_pb.ts";
import type { OrderingStatus } from "../ordering/ordering.ts";
import type { MemberStep } from "../ordering/state-machine.ts";
import { AgreementError } from "../ordering/waiting.ts";
import type { FitnessWatch, FleetSight } from "./fleet-sight.ts";
import type { CommitteeQuestion, CommitteeReply } from "./message-codec.ts";
import { type CommitteeState, nextStep } from "./next-step.ts";
import type { CommitteeOptions } from "./options.ts";
import type { Seat } from "./seat.ts";

/** What changes of members need. */
export interface ChangerParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly options: CommitteeOptions;
  readonly sight: FleetSight;
  readonly ask: (peer: PeerId, question: CommitteeQuestion) => Promise<CommitteeReply>;
}

/**
 * Sees to it that members that are gone are replaced. Every member does, but one after the other: the first that is fit
 * acts, the others when it has not done so for a while.
 */
export class MemberChanger {
  readonly #parts: ChangerParts;
  readonly #watch: FitnessWatch;
  readonly #record: (seat: Seat) => CommitteeRecord | undefined;
  /** What is due, and since when. */
  #due = "";
  #dueSinceMs = 0;
  #triedAtMs = Number.NEGATIVE_INFINITY;
  /** Whom the group would not take with the ticket that it has. */
  #renewed: PeerId | undefined;

  /** @param record of the committee, for whoever is to join it */
  constructor(
    parts: ChangerParts,
    watch: FitnessWatch,
    record: (seat: Seat) => CommitteeRecord | undefined,
  ) {
    this.#parts = parts;
    this.#watch = watch;
    this.#record = record;
  }

  /** @returns the committee as this member sees it */
  stateOf({ protocol, members }: OrderingStatus): CommitteeState {
    const { sight, clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    return {
      protocol,
      members,
      wanted: sight.wanted(),
      fitness: (peer) => this.#watch.fitness(peer),
      unfitForMs: (peer) => this.#watch.unfitForMs(peer, nowMs),
    };
  }

  /** Takes the step that is due, if it is for this member to take it. */
  async look(seat: Seat): Promise<void> {
    const { clock, options, sight, logger } = this.#parts;
    const status = seat.status();
    const nowMs = clock.monotonicMs();
    if (!status.members.includes(sight.self)) return;
    this.#watch.look(status.members, nowMs);
    if (status.leader === undefined) return;
    const pending = seat.pending();
    // Who was to be added may be gone by now: the next decision takes the place of that one.
    const isVoid = pending?.kind === "add" && this.#watch.fitness(pending.peer) !== "fit";
    const decided = isVoid ? undefined : pending;
    const step: MemberStep | undefined = decided ?? nextStep(this.stateOf(status), options);
    const name = step === undefined ? "" : `${decided === undefined} ${step.kind} ${step.peer}`;
    if (name !== this.#due) {
      this.#due = name;
      this.#dueSinceMs = nowMs;
    }
    if (step === undefined || nowMs - this.#triedAtMs < options.retryAfterMs) return;
    const fit = status.members.filter((peer) => this.#watch.fitness(peer) === "fit");
    const rank = fit.indexOf(sight.self);
    if (rank < 0 || nowMs - this.#dueSinceMs < rank * options.standInAfterMs) return;
    this.#triedAtMs = nowMs;
    try {
      if (decided === undefined) await seat.decide(step);
      await this.#carryOut(seat, step);
      // The next one does not have to wait.
      this.#triedAtMs = Number.NEGATIVE_INFINITY;
    } catch (error) {
      const isRefused = error instanceof AgreementError && error.code === "consensus.refused";
      this.#renewed = isRefused ? step.peer : undefined;
      logger.warn("a change of the committee did not come about yet", {
        ...step,
        reason: String(error),
      });
    }
  }

  async #carryOut(seat: Seat, step: MemberStep): Promise<void> {
    if (step.kind === "remove") return seat.carryOut(step, undefined);
    const record = this.#record(seat);
    if (record === undefined) return undefined;
    const value = create(CommitteeAdmissionSchema, {
      record,
      ticket: seat.ticket(step.peer),
      renew: this.#renewed === step.peer,
    });
    const answer = await this.#parts.ask(step.peer, { case: "admission", value });
    if (answer.case !== "ticket") throw new Error(`${step.peer} did not say what it began with`);
    return seat.carryOut(step, answer.value);
  }
}
