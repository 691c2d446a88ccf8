import type { Timer } from "../../platform/clock.ts";
import type { Protocol } from "../../platform/network.ts";
import type { PeerId } from "../../platform/signer.ts";
import { LostLogError } from "../ordering/lost-log.ts";
import type {
  MembersStep,
  Ordered,
  Ordering,
  OrderingParts,
  OrderingStatus,
  Standing,
} from "../ordering/ordering.ts";
import { AgreementError, type Patience } from "../ordering/waiting.ts";
import { isVoter } from "../raft/configuration.ts";
import { Founding } from "./founding.ts";
import { drawLog, type Identity } from "./identity.ts";
import { Line } from "./line.ts";
import { checkUnused, LogDisk } from "./log-disk.ts";
import { RaftMember } from "./member.ts";
import { MembersChanger } from "./members-changer.ts";
import { encodeAside, type Greeting } from "./message-codec.ts";
import { defaultMemberOptions, type MemberOptions } from "./options.ts";
import type { Roster } from "./roster.ts";
import { Steward } from "./steward.ts";
import { decodeTicket, encodeTicket } from "./ticket.ts";
import { Watches } from "./watches.ts";

/** Carries what the members of Raft groups say to each other. */
export const RAFT_PROTOCOL: Protocol = {
  id: "/agent-mesh/raft/1.0.0",
  // A snapshot of the largest state, or a batch of entries.
  messageBytesMax: 8 * 1_048_576,
  queueBytesMax: 16 * 1_048_576,
  requestsInFlightMax: 1,
};

const GREET_EVERY_MS = 500;
const PRESENT_EVERY_MS = 2_000;
const NOBODY: Roster = new Map();

/** What was begun or found on disk. */
interface Begun {
  /** Undefined for who came later. */
  readonly founding: Founding | undefined;
  /** Undefined while the group is being founded. */
  readonly disk: LogDisk | undefined;
}

/**
 * Opens a member of a Raft group. To be founded a group needs all its founders at once, so that later nobody who lost its
 * disk is taken for who has voted; from then on it bears what a majority bears.
 * @throws LostLogError when what this member has promised is gone, or when it begins where something is already
 * @throws StoreError @throws Error when the beginning is not one for this peer
 */
export async function openRaftOrdering(
  parts: OrderingParts,
  options: Partial<MemberOptions> = {},
): Promise<Ordering> {
  const begun = await begin(parts);
  return new RaftOrdering(parts, { ...defaultMemberOptions, ...options }, begun);
}

async function begin({ beginning, store, group, signer, random }: OrderingParts): Promise<Begun> {
  const self = signer.peerId;
  if (beginning.kind === "found") {
    const peers = [...new Set(beginning.members)].toSorted();
    const number = peers.indexOf(self) + 1;
    if (number === 0) throw new Error("this peer is none of the founders");
    const identity = { number, log: drawLog(random) };
    const founding = await Founding.begin(store, group, peers, identity);
    return { founding, disk: undefined };
  }
  if (beginning.kind === "join") {
    const ticket = decodeTicket(beginning.ticket);
    if (ticket?.peer !== self) throw new Error("this is no ticket of this peer");
    await checkUnused(store, group);
    const { number, roster: sponsors } = ticket;
    const disk = await LogDisk.begin(store, group, { number, log: drawLog(random), sponsors });
    return { founding: undefined, disk };
  }
  const founding = await Founding.open(store, group);
  if (founding?.isFounded === false) return { founding, disk: undefined };
  return { founding, disk: await LogDisk.open(store, group) };
}

class RaftOrdering implements Ordering {
  readonly #parts: OrderingParts;
  readonly #options: MemberOptions;
  readonly #identity: Identity;
  readonly #founding: Founding | undefined;
  readonly #line: Line;
  readonly #watches: Watches;
  readonly #steward: Steward;
  #member: RaftMember | undefined;
  #changer: MembersChanger | undefined;
  #greeting: Timer | undefined;
  #isFounding = false;
  #presentedAtMs = Number.NEGATIVE_INFINITY;
  #term = 0;
  #started = false;
  /** Nothing is heard or said any more. */
  #isOver = false;
  /** Why this member takes part no more. */
  #ended: AgreementError | undefined;
  #end: "left" | "lost" | undefined;

  constructor(parts: OrderingParts, options: MemberOptions, { founding, disk }: Begun) {
    const identity = disk?.identity ?? founding?.identity;
    if (identity === undefined) throw new Error("a member has a log, or is a founder");
    this.#parts = parts;
    this.#options = options;
    this.#identity = identity;
    this.#founding = founding;
    const nowMs = (): number => parts.clock.monotonicMs();
    this.#watches = new Watches({
      ...options,
      nowMs,
      onWait: () => this.#member?.hasten(),
    });
    this.#line = new Line({
      ...parts,
      identity,
      sponsors: disk?.sponsors ?? foundersOf(founding),
      acquaintance: () => ({
        roster: this.#member?.roster ?? NOBODY,
        nextNumber: this.#member?.nextNumber ?? 1,
        isLeading: this.#member?.isLeading === true,
      }),
      take: (message, from) => {
        if (this.#member === undefined) this.#introduce(from, message.from);
        else this.#member.take(message);
      },
      greeted: (from, greeting) => void this.#greeted(from, greeting),
      left: () => this.#leave(false),
      forgotten: () => this.#lose(new LostLogError("the number of this member is of another log")),
    });
    this.#steward = new Steward({ ...parts, ...options, line: this.#line, nowMs });
    if (disk !== undefined) this.#become(disk);
    parts.channel.listen((from, bytes) => {
      if (this.#started && !this.#isOver) this.#line.hear(from, bytes);
    });
  }

  start(): void {
    this.#started = true;
    if (this.#member === undefined) this.#greetLater(0);
    else this.#member.start();
    this.#changed();
  }

  async stop(): Promise<void> {
    await this.#finish(new AgreementError("consensus.stopped", "this member stops"));
  }

  async submit(value: Uint8Array, patience: Patience, id?: Uint8Array): Promise<Ordered> {
    const member = this.#member ?? (await this.#founded(patience));
    this.#checkTakesPart();
    const { index, result } = await member.propose(value, patience, id);
    return { position: index, result };
  }

  async read(patience: Patience): Promise<void> {
    const member = this.#member ?? (await this.#founded(patience));
    this.#checkTakesPart();
    await member.read(patience);
  }

  ticket(peer: PeerId): Uint8Array {
    this.#checkTakesPart();
    const { roster, nextNumber: number } = this.#member ?? { roster: NOBODY, nextNumber: 0 };
    if (roster.size === 0)
      throw new AgreementError("consensus.unready", "who belongs to the group is not known yet");
    return encodeTicket({ peer, number, roster });
  }

  async change(step: MembersStep, patience: Patience): Promise<void> {
    if (this.#member === undefined) await this.#founded(patience);
    this.#checkTakesPart();
    await this.#changer?.change(step, patience);
  }

  status(): OrderingStatus {
    const member = this.#member;
    if (member === undefined) {
      const members = this.#founding?.peers ?? [];
      const standing = this.#end ?? "electing";
      const nothing = { leader: undefined, term: 0, position: 0, learners: [] };
      return { protocol: "raft", standing, members, ...nothing };
    }
    const { configuration, roster } = member;
    const { voters, learners } = configuration;
    const { role, leader, term } = member.status();
    const peersOf = (ids: readonly number[]): readonly PeerId[] =>
      ids.flatMap((id) => roster.get(id)?.peer ?? []).toSorted();
    const isOver = this.#ended !== undefined;
    let standing: Standing = leader === 0 ? "electing" : "following";
    if (role === "leader") standing = "leading";
    if (!isVoter(configuration, this.#identity.number)) standing = "learning";
    if (isOver && standing === "leading") standing = "electing";
    return {
      protocol: "raft",
      standing: this.#end ?? standing,
      leader: isOver ? undefined : roster.get(leader)?.peer,
      term,
      position: member.position,
      members: peersOf(voters),
      learners: peersOf(learners),
    };
  }

  #become(disk: LogDisk): RaftMember {
    const { signer, clock } = this.#parts;
    const member: RaftMember = new RaftMember({
      ...this.#parts,
      disk,
      options: this.#options,
      send: (message) => this.#line.send(message),
      onChange: () => this.#changed(),
      onTick: () => {
        this.#steward.tick(member);
        this.#present(member);
        this.#watches.look();
      },
      isWaiting: () => !this.#watches.isIdle || this.#isAmongLearners(member),
      onLost: (error) => this.#lose(error),
    });
    this.#member = member;
    this.#changer = new MembersChanger({
      member,
      self: signer.peerId,
      watches: this.#watches,
      nowMs: () => clock.monotonicMs(),
      hasLeft: () => this.#end === "left",
      retryAfterMs: this.#options.retryAfterMs,
    });
    return member;
  }

  #changed(): void {
    const member = this.#member;
    if (member !== undefined && this.#ended === undefined) {
      const { term } = member.status();
      if (term !== this.#term) this.#line.forgetLearners();
      this.#term = term;
      const { number } = this.#identity;
      // It goes on to vote, and to say what is committed: those that lag may need both to learn of its leaving.
      if (number < member.nextNumber && !member.roster.has(number)) this.#leave(true);
    }
    this.#watches.look();
    this.#parts.onChange();
  }

  /** Learners are looked after, and have to show themselves. */
  #isAmongLearners({ configuration }: RaftMember): boolean {
    return configuration.learners.length > 0 || !isVoter(configuration, this.#identity.number);
  }

  /** Who has no vote is not heard otherwise: it would not learn that it was taken out again, or has forgotten something. */
  #present({ configuration }: RaftMember): void {
    const nowMs = this.#parts.clock.monotonicMs();
    if (isVoter(configuration, this.#identity.number)) return;
    if (nowMs - this.#presentedAtMs < PRESENT_EVERY_MS) return;
    this.#presentedAtMs = nowMs;
    this.#line.present();
  }

  async #founded({ timeoutMs, signal }: Patience): Promise<RaftMember> {
    this.#checkTakesPart();
    await this.#watches.until(() => this.#member !== undefined, { timeoutMs, signal });
    if (this.#member === undefined) throw new Error("a group that is founded has this member");
    return this.#member;
  }

  #greetLater(delayMs: number): void {
    this.#greeting = this.#parts.clock.setTimer("raft.found", delayMs, () => {
      const founding = this.#founding;
      if (founding === undefined || this.#member !== undefined || this.#ended !== undefined) return;
      this.#watches.look();
      for (const [at, peer] of founding.peers.entries())
        if (at + 1 !== this.#identity.number) this.#greet(founding, peer, at + 1, true);
      this.#greetLater(GREET_EVERY_MS);
      void this.#found(founding);
    });
  }

  #greet({ logs }: Founding, peer: PeerId, to: number, asks: boolean): void {
    const { number: from, log } = this.#identity;
    const said = encodeAside({ kind: "greeting", from, to, log, logs, asks });
    // It is said again.
    this.#parts.channel.send(peer, said).catch(() => undefined);
  }

  /** The group has been founded, as it seems: if that was with this member, it has forgotten so, and is told. */
  #introduce(peer: PeerId, number: number): void {
    const nowMs = this.#parts.clock.monotonicMs();
    if (this.#founding === undefined || nowMs - this.#presentedAtMs < PRESENT_EVERY_MS) return;
    this.#presentedAtMs = nowMs;
    this.#greet(this.#founding, peer, number, true);
  }

  async #greeted(from: PeerId, greeting: Greeting): Promise<void> {
    const founding = this.#founding;
    if (founding?.isFounder(from, greeting.from) !== true) return;
    try {
      const isForgotten = await founding.hear(greeting);
      if (this.#ended !== undefined) return;
      if (isForgotten && this.#member === undefined)
        this.#lose(new LostLogError("the other founders know another log of this member"));
      else if (greeting.asks) this.#greet(founding, from, greeting.from, false);
      await this.#found(founding);
    } catch (error) {
      const reason = (error as Error).message;
      this.#parts.logger.warn("what a founder said could not be written down", { reason });
    }
  }

  async #found(founding: Founding): Promise<void> {
    if (!founding.isComplete || this.#isFounding || this.#member !== undefined) return;
    this.#isFounding = true;
    try {
      const disk = await founding.found(this.#parts.machine);
      if (this.#ended !== undefined) return;
      this.#become(disk).start();
      this.#changed();
    } catch (error) {
      const reason = (error as Error).message;
      this.#parts.logger.warn("the log of the group could not be begun", { reason });
    } finally {
      this.#isFounding = false;
    }
  }

  /** @param mayBeNeeded others may not know yet that they can do without it */
  #leave(mayBeNeeded: boolean): void {
    if (this.#ended !== undefined) return;
    this.#end = "left";
    const error = new AgreementError("consensus.refused", "this member was taken out of the group");
    if (mayBeNeeded) this.#refuse(error);
    else void this.#finish(error);
    this.#parts.onChange();
  }

  #lose(error: Error): void {
    if (this.#ended !== undefined) return;
    this.#end = "lost";
    void this.#finish(new AgreementError("consensus.refused", error.message));
    this.#parts.onLost(error);
    this.#parts.onChange();
  }

  /** Whoever waits is told, and so is whoever asks from now on. */
  #refuse(error: AgreementError): void {
    this.#ended ??= error;
    this.#watches.fail(this.#ended);
    this.#member?.refuse(this.#ended);
  }

  async #finish(error: AgreementError): Promise<void> {
    this.#refuse(error);
    this.#isOver = true;
    this.#greeting?.cancel();
    this.#parts.channel.close();
    await this.#member?.stop(error);
  }

  #checkTakesPart(): void {
    if (this.#ended !== undefined) throw this.#ended;
  }
}

/** While a group is founded, or where it has been already without this one knowing, founders may speak. */
function foundersOf(founding: Founding | undefined): Roster {
  return new Map(founding?.peers.map((peer, at) => [at + 1, { peer, log: 0 }]));
}
