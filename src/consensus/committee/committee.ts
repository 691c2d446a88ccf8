import type { Clock, Timer } from "../../platform/clock.ts";
import { fromHex, toHex } from "../../platform/hex.ts";
import type { KeyValueStore } from "../../platform/key-value-store.ts";
import type { Logger } from "../../platform/logger.ts";
import { Refused } from "../../platform/network.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import type {
  CommitteeAdmission,
  CommitteeRecord,
  CommitteeRecordWanted,
} from "../../wire/agent_mesh/v1/committee_pb.ts";
import type { OrderingStatus } from "../ordering/ordering.ts";
import { CommitteeTalk } from "./committee-talk.ts";
import { FitnessWatch, type FleetSight } from "./fleet-sight.ts";
import { FounderDesk } from "./founder-desk.ts";
import { promiseKept } from "./founder-promise.ts";
import { KnownCommittees } from "./known-committees.ts";
import { MemberChanger } from "./member-changer.ts";
import type { CommitteeQuestion, CommitteeReply } from "./message-codec.ts";
import { type Fitness, faultOfStep } from "./next-step.ts";
import type { CommitteeOptions } from "./options.ts";
import { type ChangeFollower, type KnownCommittee, recordOf } from "./record.ts";
import type { Seat, SeatListener, SeatMaker } from "./seat.ts";
import { SeatKeeper } from "./seat-keeper.ts";

/** Nothing to tell. */
const NOTHING: CommitteeReply = { case: undefined };

/**
 * What this node is to the committee: `none` is known; it `follows` one; it is `seated`; it is to be, and has `lost` what
 * it had promised.
 */
export type CommitteeStanding = "none" | "follows" | "seated" | "lost";

/** Something changed that a fleet manager may want to hear of. */
export type CommitteeChange =
  | {
      readonly kind: "replaced" | "members" | "known";
      readonly committee: KnownCommittee;
    }
  | { readonly kind: "seated" | "left" | "lost"; readonly group: string }
  /** Another leader, or none. */
  | { readonly kind: "status" };

/** What a committee is made of. */
export interface CommitteeParts {
  readonly signer: Signer;
  readonly store: KeyValueStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly options: CommitteeOptions;
  readonly sight: FleetSight;
  readonly seats: SeatMaker;
  readonly follower: ChangeFollower;
  /** Asks another agent. @throws NetworkError */
  readonly ask: (peer: PeerId, question: CommitteeQuestion) => Promise<CommitteeReply>;
  readonly onChange: (change: CommitteeChange) => void;
}

/**
 * The committee of a fleet, as one node has part in it: finds out that there is one, founds one with those that the roles
 * want in it, takes its seat, and sees to it that members that are gone are replaced, one at a time, by decisions of the
 * committee itself. There is one committee at a time: where two meet, all go by the same one.
 */
export class Committee {
  readonly #parts: CommitteeParts;
  readonly #known: KnownCommittees;
  readonly #watch: FitnessWatch;
  readonly #founder: FounderDesk;
  readonly #changer: MemberChanger;
  readonly #keeper: SeatKeeper;
  readonly #talk: CommitteeTalk;
  #timer: Timer | undefined;
  #isLooking = false;
  #isStopped = false;
  /** What changes the seat or what is known comes one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: CommitteeParts) {
    const { signer, store, follower, sight } = parts;
    this.#parts = parts;
    this.#known = new KnownCommittees(signer, store, follower);
    this.#watch = new FitnessWatch(sight);
    this.#founder = new FounderDesk(
      parts,
      () => this.#known.newest,
      (peer) => this.fitness(peer),
    );
    this.#changer = new MemberChanger(parts, this.#watch, (seat) => this.#recordFor(seat));
    this.#keeper = new SeatKeeper({
      ...parts,
      self: sight.self,
      listener: (group) => this.#listener(group),
    });
    this.#talk = new CommitteeTalk(
      parts,
      () => this.#known.newest,
      (record, from) => this.#adopt(record, from),
    );
  }

  /** Takes the seat that it had. @throws StoreError */
  async open(): Promise<void> {
    await this.#known.load();
    const known = this.#known.newest;
    if (known !== undefined) await this.#keeper.reopen(known);
  }

  start(): void {
    this.#lookLater();
  }

  /** Gives up the seat until the next start. Idempotent. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#last.catch(() => undefined);
    await this.#keeper.seat?.stop();
  }

  get standing(): CommitteeStanding {
    if (this.#keeper.isLost) return "lost";
    if (this.#keeper.seat !== undefined) return "seated";
    return this.#known.newest === undefined ? "none" : "follows";
  }

  /** The newest committee that is known. */
  get known(): KnownCommittee | undefined {
    return this.#known.newest;
  }

  /** How the group stands; undefined without a seat. */
  status(): OrderingStatus | undefined {
    return this.#keeper.seat?.status();
  }

  fitness(peer: PeerId): Fitness {
    const isLost = this.#keeper.isLost && peer === this.#parts.sight.self;
    return isLost ? "lost" : this.#watch.fitness(peer);
  }

  /**
   * Founds a committee now with those that the roles want, in place of one that can decide no more.
   * @throws Refused with the reason
   */
  async found(): Promise<KnownCommittee> {
    const founded = await this.#founder.found(this.#known.newest?.founding.group);
    await this.#adopt(recordOf(this.#parts.signer, founded), undefined);
    return founded;
  }

  /** Answers another agent. @throws Refused */
  async take(from: PeerId, question: CommitteeQuestion): Promise<CommitteeReply> {
    switch (question.case) {
      case "invitation":
        return this.#inTurn(async () => ({
          case: "signature",
          value: await this.#founder.sign(from, question.value),
        }));
      case "record":
        await this.#adopt(question.value, from);
        return this.#reply();
      case "recordWanted":
        return this.#isKnownTo(question.value) ? NOTHING : this.#reply();
      case "admission":
        return { case: "ticket", value: await this.#admit(from, question.value) };
      case "loss":
        this.#heardOfLoss(from, toHex(question.value.group));
        return NOTHING;
      case "proposal": {
        const { topic, value, expiresAfterMs } = question.value;
        const id = await this.#seated().propose(topic, value, Number(expiresAfterMs));
        return { case: "proposalId", value: fromHex(id) };
      }
      case "decisionWanted": {
        const decision = this.#seated().decision(toHex(question.value.proposalId));
        return decision === undefined ? NOTHING : { case: "decision", value: decision };
      }
      default:
        return question satisfies never;
    }
  }

  /** There is a link to another agent: it may know of another committee. */
  met(peer: PeerId): void {
    this.#talk.compare(peer);
  }

  #seated(): Seat {
    if (this.#keeper.seat === undefined)
      throw new Refused("committee.not-a-member", "this agent has no seat in the committee");
    return this.#keeper.seat;
  }

  /** Whether the asker is as far as this agent, or further: it is no news to it then. */
  #isKnownTo({ group, changes }: CommitteeRecordWanted): boolean {
    const known = this.#known.newest;
    return known?.founding.group === toHex(group) && known.changes.length <= changes;
  }

  #reply(): CommitteeReply {
    const known = this.#known.newest;
    return known === undefined
      ? NOTHING
      : { case: "record", value: recordOf(this.#parts.signer, known) };
  }

  #lookLater(): void {
    const { clock, options } = this.#parts;
    this.#timer = clock.setTimer("committee.look", options.lookIntervalMs, () => {
      this.#lookLater();
      if (this.#isLooking) return;
      this.#isLooking = true;
      this.#look()
        .catch((error: unknown) =>
          this.#parts.logger.warn("the committee could not be looked after", {
            reason: String(error),
          }),
        )
        .finally(() => {
          this.#isLooking = false;
        });
    });
  }

  async #look(): Promise<void> {
    this.#talk.look();
    const { seat, isLost } = this.#keeper;
    if (isLost) this.#talk.tellLoss();
    if (seat !== undefined) {
      await this.#followSeat(seat);
      await this.#changer.look(seat);
    } else if (this.#known.newest === undefined && this.#founder.isDue()) {
      await this.#talk.askAround();
      if (this.#known.newest === undefined) await this.found();
    }
  }

  /** @throws Refused where the record is not to be believed */
  #adopt(record: CommitteeRecord, from: PeerId | undefined): Promise<void> {
    return this.#inTurn(async () => {
      const known = this.#known.judge(record);
      if (typeof known === "string") throw new Refused(`committee.${known}`, known);
      if (known === undefined || this.#isStopped) return;
      const before = this.#known.newest;
      const { group } = known.founding;
      const isOther = before !== undefined && before.founding.group !== group;
      if (isOther) {
        await this.#keeper.leave(before.founding.group);
        this.#watch.forget();
      }
      const isKept = await this.#keeper.sit(known);
      await this.#known.keep(known, isKept ? [promiseKept()] : []);
      this.#tell(known, before);
      this.#talk.spread(known, from);
    });
  }

  /** @returns the ticket that this agent began with */
  async #admit(from: PeerId, { record, ticket, renew }: CommitteeAdmission): Promise<Uint8Array> {
    const { sight, options } = this.#parts;
    if (record === undefined) throw new Refused("committee.malformed-record", "no record");
    await this.#adopt(record, from);
    return this.#inTurn(async () => {
      const known = this.#known.newest;
      const readGroup = this.#known.judge(record);
      if (known === undefined || readGroup !== undefined)
        throw new Refused("committee.other", "this agent goes by another committee");
      if (!known.members.includes(from))
        throw new Refused("committee.not-a-member", "only members let others in");
      if (known.founding.protocol !== options.protocol)
        throw new Refused(
          "committee.protocol",
          `this agent takes part in ${options.protocol} only`,
        );
      if (sight.fitness(sight.self) !== "fit")
        throw new Refused("committee.unfit", "this agent can not be a member now");
      return this.#keeper.join(known.founding, ticket, renew);
    });
  }

  #listener(group: string): SeatListener {
    return {
      changed: () => {
        if (this.#keeper.seat !== undefined && this.#known.newest?.founding.group === group)
          this.#followSeat(this.#keeper.seat).catch((error: unknown) =>
            this.#parts.logger.warn("the committee's record was not kept", {
              reason: String(error),
            }),
          );
        this.#parts.onChange({ kind: "status" });
      },
      faultOf: (step, status) => faultOfStep(this.#changer.stateOf(status), step),
      lost: () => {
        void this.#inTurn(async () => {
          await this.#keeper.lose(group);
        });
      },
    };
  }

  /** Takes over from the seat who belongs to the committee now. */
  #followSeat(seat: Seat): Promise<void> {
    return this.#inTurn(async () => {
      const known = this.#known.newest;
      if (known === undefined || this.#keeper.seat !== seat || this.#isStopped) return;
      const { founding, signatures } = known;
      const further = seat.changes(known.changes.length);
      if (further.length > 0) {
        const changes = [...known.changes, ...further];
        const members = this.#parts.follower.follow(founding, changes);
        if (members === undefined) throw new Error("the committee's own changes do not follow");
        const newer = { founding, signatures, changes, members };
        await this.#known.keep(newer);
        this.#tell(newer, known);
        this.#talk.spread(newer, undefined);
      }
      if (seat.status().standing === "left") await this.#keeper.leave(founding.group);
    });
  }

  #tell(known: KnownCommittee, before: KnownCommittee | undefined): void {
    const isSame = before?.founding.group === known.founding.group;
    const kind = isSame ? "members" : before === undefined ? "known" : "replaced";
    this.#parts.onChange({ kind, committee: known });
  }

  #recordFor(seat: Seat): CommitteeRecord | undefined {
    const known = this.#known.newest;
    return known === undefined || this.#keeper.seat !== seat
      ? undefined
      : recordOf(this.#parts.signer, known);
  }

  #heardOfLoss(from: PeerId, group: string): void {
    const known = this.#known.newest;
    if (known?.founding.group === group && known.members.includes(from)) this.#watch.lost(from);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work, work);
    this.#last = done.catch(() => undefined);
    return done;
  }
}
