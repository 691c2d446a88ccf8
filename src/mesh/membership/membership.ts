import type { Random } from "../../platform/random.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import { Occasion } from "../../wire/agent_mesh/v1/record_pb.ts";
import type { KnownRecord } from "../records/known-record.ts";
import type { SelfDescription } from "../records/record-codec.ts";
import type { RecordVerifier } from "../records/record-verifier.ts";
import { BroadcastQueue } from "./broadcast-queue.ts";
import { BrokenLinks } from "./broken-links.ts";
import { Chores } from "./chores.ts";
import type { News } from "./codec.ts";
import type { MembershipEffects, MembershipInput } from "./effects.ts";
import { type DetectorHost, FailureDetector } from "./failure-detector.ts";
import type { FleetSize } from "./fleet-sample.ts";
import { Gossip } from "./gossip.ts";
import { Inbox } from "./inbox.ts";
import { type LinkState, newLink } from "./links.ts";
import type { Member, MemberCounts } from "./member.ts";
import type { MembershipOptions, MembershipPace } from "./options.ts";
import type { OwnRecordCounters } from "./own-record-keeper.ts";
import { PartialView } from "./partial-view.ts";
import { refreshWaitMs } from "./refresh.ts";
import { Roster, type RosterCounters, type RosterHost } from "./roster.ts";
import { SampleSync } from "./sample-sync.ts";
import { SelfRecord } from "./self-record.ts";
import { Sought } from "./sought.ts";
import { Suspicions } from "./suspicion.ts";
import { Sweeper } from "./sweeper.ts";
import { MemberTable } from "./table.ts";
import { TableSync } from "./table-sync.ts";
import { Turn } from "./turn.ts";

/** How often a neighbour is told that a link is closed on purpose. */
const PARTING_COPIES = 2;
/** Probes that others answered for a neighbour in a row; one more, and it is suspected. */
const INDIRECT_IN_A_ROW_MAX = 4;
/** A tick this late says that this agent was slow, not that others were. */
const LATE_MS = 250;
/** For a linked peer to show its record. */
const INTRODUCTION_MS = 10_000;
/** Records that a neighbour may owe; it may never send some of them. */
const OWED_MAX = 1_024;
/** A tick this late says that it slept. */
const ASLEEP_MS = 5_000;

/** What a membership is made of. */
export interface MembershipParts {
  readonly signer: Signer;
  readonly verifier: RecordVerifier;
  readonly random: Random;
  readonly options: MembershipOptions;
  /** What the agent tells of itself. @throws RangeError from the constructor when others would not take it */
  readonly self: SelfDescription;
  /** Starts of the agent, counted on its disk; larger than at any start before. */
  readonly epoch: number;
  /** Monotonic milliseconds now. */
  readonly startMs: number;
  /** Encoded SignedRecords of members known before the start. They are dialled; they are members when others say so. */
  readonly remembered?: Iterable<Uint8Array>;
}

/** Numbers since the start, for metrics. */
export interface MembershipCounters extends Readonly<RosterCounters & OwnRecordCounters> {
  /** Messages of peers without a link. */
  readonly unlinkedMessages: number;
}

/**
 * Who is in the fleet and well, without any coordinator: SWIM with Lifeguard over kept links, signed records, push-pull
 * anti-entropy and a partial view. Pure: inputs in, effects out, one `step` at a time; the caller performs the effects,
 * and brings a `tick` when `nextTickAtMs` has come. Never throws for anything that a peer says.
 */
export class Membership {
  readonly #random: Random;
  readonly #options: MembershipOptions;
  readonly #self: SelfRecord;
  readonly #table: MemberTable;
  readonly #links = new Map<PeerId, LinkState>();
  readonly #broken = new BrokenLinks();
  readonly #queue: BroadcastQueue;
  readonly #suspicions = new Suspicions();
  readonly #detector: FailureDetector;
  readonly #sync: TableSync;
  readonly #samples: SampleSync;
  readonly #view: PartialView;
  readonly #sought: Sought;
  readonly #roster: Roster;
  readonly #sweeper: Sweeper;
  readonly #gossip: Gossip;
  readonly #inbox: Inbox;
  readonly #chores: Chores;
  #pace: MembershipPace;
  #nextTickAtMs: number;
  #left = false;

  constructor(parts: MembershipParts) {
    const { random, options, verifier, startMs } = parts;
    this.#random = random;
    this.#options = options;
    this.#pace = options.pace;
    this.#nextTickAtMs = startMs;
    this.#self = new SelfRecord(parts.signer, verifier, parts.self, parts.epoch);
    const self = this.#self.record.peerId;
    this.#table = new MemberTable(self, options.membersMax);
    this.#table.add(this.#self.record, "alive", startMs);
    this.#queue = new BroadcastQueue(random, () =>
      refreshWaitMs(this.#table.livingCount, options.refreshIntervalMs),
    );
    this.#detector = new FailureDetector(random, options.indirectProbes);
    this.#view = new PartialView({
      self,
      table: this.#table,
      links: this.#links,
      random,
      neighboursWanted: () => Math.min(options.neighboursWanted, this.#pace.neighboursMax),
    });
    this.#sought = new Sought(this.#table, random);
    this.#roster = new Roster(
      {
        options,
        self: this.#self,
        table: this.#table,
        queue: this.#queue,
        suspicions: this.#suspicions,
        verifier,
        links: this.#links,
        isSought: (peer) => this.#sought.has(peer),
        pace: () => this.#pace,
      },
      this.#rosterHost(),
    );
    this.#gossip = new Gossip(this.#queue, this.#roster);
    const asked = (peer: PeerId, records: number): void => this.#asked(peer, records);
    const deathNews = (member: Member): News => this.#roster.deathNews(member);
    this.#sync = new TableSync(this.#table, random, deathNews, asked);
    this.#samples = new SampleSync(this.#table, this.#self, random, startMs, asked);
    this.#sweeper = new Sweeper(this.#table, this.#roster, random, options, startMs, (peer) =>
      this.#links.has(peer),
    );
    this.#inbox = new Inbox({
      table: this.#table,
      links: this.#links,
      detector: this.#detector,
      roster: this.#roster,
      sync: this.#sync,
      samples: this.#samples,
      view: this.#view,
      sweeper: this.#sweeper,
      detectorHost: (turn) => this.#detectorHost(turn),
      part: (turn, peer) => this.#part(turn, peer),
      pace: () => this.#pace,
    });
    this.#chores = new Chores({
      broken: this.#broken,
      roster: this.#roster,
      sweeper: this.#sweeper,
      view: this.#view,
      sync: this.#sync,
      samples: this.#samples,
      sought: this.#sought,
      gossip: this.#gossip,
      pace: () => this.#pace,
      draw: () => this.#anyLink(),
      part: (turn, peer) => this.#part(turn, peer),
    });
    for (const bytes of parts.remembered ?? []) {
      const record = verifier.verify(bytes);
      if (typeof record !== "string") this.#view.remember(contactOf(record));
    }
  }

  /** This agent's own record. Its epoch may grow at run time, and must be on disk before the next start. */
  get self(): KnownRecord {
    return this.#self.record;
  }

  /** Peers with a link, as far as the membership was told. */
  get linked(): readonly PeerId[] {
    return [...this.#links.keys()];
  }

  /** 0: this agent finds itself in time; up to 8 (Lifeguard's local health). */
  get localHealth(): number {
    return this.#detector.localHealth;
  }

  /** Everybody known, this agent included, in no order. A live view: hold none of it across steps. */
  members(): Iterable<Member> {
    return this.#table.all();
  }

  member(peer: PeerId): Member | undefined {
    return this.#table.get(peer);
  }

  counts(): MemberCounts {
    return this.#table.counts();
  }

  /** The table is full: there may be agents beyond those in it. */
  get isPartial(): boolean {
    return this.#table.full;
  }

  /** How many agents the fleet has, this one included: counted while the table holds all of them, estimated else. */
  fleetSize(nowMs: number): FleetSize {
    return this.#samples.size(nowMs);
  }

  /** A uniform sample of the fleet, the same at every agent but for what is on its way; all of a small one. */
  sample(nowMs: number): readonly PeerId[] {
    return this.#samples.peers(nowMs);
  }

  counters(): MembershipCounters {
    return { ...this.#roster.counters(), unlinkedMessages: this.#inbox.unlinkedMessages };
  }

  /**
   * How much of the fleet is out of reach, 0 … 1: of the other members that were alive at some time in the last
   * `partitionWindowMs`, the share that is suspect or dead now. Those that left on purpose count on neither side.
   */
  partitionScore(nowMs: number): number {
    return this.#table.partitionScore(nowMs - this.#options.partitionWindowMs);
  }

  /** Talks more or less often from now on. @returns when the next tick is due */
  setPace(pace: MembershipPace, nowMs: number): number {
    this.#pace = pace;
    this.#detector.hurry(nowMs, pace);
    this.#view.wantChanged(nowMs);
    this.#chores.changed();
    return this.#plan(nowMs);
  }

  /** Takes one input. @throws RangeError for `self-changed` with what others would not take; then nothing has changed */
  step(input: MembershipInput): MembershipEffects {
    const turn = new Turn(input.nowMs);
    if (this.#left) return turn.effects(Number.POSITIVE_INFINITY);
    this.#excuseLateness(turn.nowMs);
    switch (input.kind) {
      case "tick":
        this.#tick(turn);
        return turn.effects(this.#plan(turn.nowMs));
      case "message":
        this.#message(turn, input.from, input.bytes);
        return turn.effects(this.#plan(turn.nowMs));
      case "link-up":
        this.#linkUp(turn, input.peer, input.direction);
        break;
      case "link-down":
        this.#linkDown(turn, input.peer);
        break;
      case "discovered":
        this.#view.discovered({ peer: input.peer, addresses: input.addresses }, turn.nowMs);
        break;
      case "connect-failed":
        this.#view.connectFailed(input.peer, turn.nowMs);
        if (this.#broken.delete(input.peer) || this.#suspicions.get(input.peer) !== undefined)
          this.#roster.suspect(turn, input.peer);
        break;
      case "self-changed":
        if (input.slow === true) this.#self.amend(input.self);
        else this.#roster.describe(turn, input.self);
        break;
      case "part":
        if (this.#links.has(input.peer)) this.#part(turn, input.peer);
        break;
      case "seek":
        this.#sought.set(input.peers, turn.nowMs);
        break;
      case "leave":
        this.#leave(turn);
        break;
    }
    this.#chores.changed();
    return turn.effects(this.#plan(turn.nowMs));
  }

  #plan(nowMs: number): number {
    if (this.#left) return Number.POSITIVE_INFINITY;
    const dueAtMs = Math.min(this.#detector.nextAtMs, this.#chores.nextAtMs);
    // What is due at once was not due before: such a tick is not late.
    this.#nextTickAtMs = Math.max(nowMs, dueAtMs);
    return this.#nextTickAtMs;
  }

  /** What did not come in while this agent did not run says nothing of others. */
  #excuseLateness(nowMs: number): void {
    const lateMs = nowMs - this.#nextTickAtMs;
    if (lateMs > LATE_MS) {
      this.#detector.forgetPending();
      this.#detector.accused();
      this.#broken.restart(nowMs + this.#graceMs);
      this.#chores.changed();
    }
    if (lateMs > ASLEEP_MS) {
      this.#suspicions.restart(nowMs);
      this.#sweeper.awoke(nowMs);
    }
  }

  #tick(turn: Turn): void {
    this.#detector.tick(turn.nowMs, this.#pace, this.#detectorHost(turn));
    this.#chores.tick(turn);
  }

  #message(turn: Turn, from: PeerId, bytes: Uint8Array): void {
    if (!this.#inbox.take(turn, from, bytes)) this.#chores.changed();
    this.#detector.awake(turn.nowMs, this.#pace, () => this.#detectorHost(turn));
  }

  #linkUp(turn: Turn, peer: PeerId, direction: LinkState["direction"]): void {
    if (peer === this.#self.record.peerId) return;
    // A new link in the place of one whose end was not told yet: the other side may have forgotten all about the old one.
    if (this.#links.has(peer)) this.#dropLink(turn, peer);
    this.#links.set(peer, newLink(peer, direction, this.#options.membersMax, turn.nowMs));
    this.#broken.delete(peer);
    this.#queue.linkUp(peer);
    this.#detector.linkUp(peer, turn.nowMs, this.#pace);
    this.#view.linkUp(peer, turn.nowMs);
    const member = this.#table.get(peer);
    turn.send(peer, undefined, this.#greeting(member));
    const host = this.#detectorHost(turn);
    if (member?.state === "suspect") this.#detector.probe(peer, turn.nowMs, this.#pace, host);
    // A newcomer, or the other side of what was cut: there is much to learn. Else the next exchange will do.
    if (member?.state === "dead" || (direction === "outbound" && this.#table.livingCount < 3))
      this.#sync.begin(turn, peer, this.#pace);
    else if (member === undefined && !this.#table.full) this.#sync.hurry(turn.nowMs);
  }

  /** This agent's record; and what the other must refute, when it is held to be dead. */
  #greeting(member: Member | undefined): News[] {
    const own: News = { kind: "record", bytes: this.#self.record.bytes };
    return member?.state === "dead" ? [own, this.#roster.deathNews(member)] : [own];
  }

  #linkDown(turn: Turn, peer: PeerId): void {
    const link = this.#links.get(peer);
    if (link === undefined) return;
    this.#dropLink(turn, peer);
    const member = this.#table.get(peer);
    if (link.parting || member === undefined || member.state === "left") return;
    const mayBeWell = member.state === "alive";
    if (!mayBeWell || !this.#broken.add(peer, turn.nowMs + this.#graceMs))
      this.#roster.suspect(turn, peer);
    // Of two that both dial, each may take the link that the other opened for the one that counts: nobody sees to it then.
    if (link.direction === "outbound") this.#view.reconnect(turn, member);
  }

  /** As long as a probe that nobody answers. */
  get #graceMs(): number {
    return 2 * this.#pace.probeTimeoutMs * (this.#detector.localHealth + 1);
  }

  #dropLink(turn: Turn, peer: PeerId): void {
    this.#links.delete(peer);
    this.#queue.linkDown(peer);
    this.#detector.linkDown(peer);
    this.#sync.linkDown(peer);
    this.#view.linkDown(turn.nowMs);
    this.#chores.changed();
  }

  #part(turn: Turn, peer: PeerId): void {
    // Whoever does not hear of it takes the end of the link for a failure, and tells the whole fleet.
    for (let copy = 0; copy < PARTING_COPIES; copy++)
      turn.send(peer, { case: "parting", value: {} });
    turn.disconnect(peer);
    this.#dropLink(turn, peer);
  }

  #leave(turn: Turn): void {
    this.#self.renew(Occasion.UNSPECIFIED, { leaving: true });
    const news: News = { kind: "record", bytes: this.#self.record.bytes };
    for (const peer of this.#links.keys()) turn.send(peer, { case: "parting", value: {} }, [news]);
    this.#left = true;
  }

  #asked(peer: PeerId, records: number): void {
    const link = this.#links.get(peer);
    if (link !== undefined) link.owedRecords = Math.min(link.owedRecords + records, OWED_MAX);
  }

  #anyLink(): PeerId | undefined {
    const peers = [...this.#links.keys()];
    return peers[Math.floor(this.#random.next() * peers.length)];
  }

  /** On a slow link the first words take their time: a stream has to be opened before anything is said. */
  #isOverdue(peer: PeerId, nowMs: number): boolean {
    const link = this.#links.get(peer);
    return link !== undefined && nowMs - link.openedAtMs >= INTRODUCTION_MS;
  }

  #detectorHost(turn: Turn): DetectorHost {
    return {
      calm: this.#suspicions.size === 0,
      send: (to, body) => this.#gossip.send(turn, to, body),
      // A linked peer of which no record is known can not be suspected, only left.
      failed: (peer) => {
        this.#chores.changed();
        if (this.#table.get(peer) !== undefined) this.#roster.suspect(turn, peer);
        else if (this.#isOverdue(peer, turn.nowMs)) this.#part(turn, peer);
      },
      // Others may lie about it, and a link like that is of no use: it counts, but not for ever.
      reachedByOthers: (peer) => {
        const link = this.#links.get(peer);
        if (link === undefined || ++link.indirectInARow < INDIRECT_IN_A_ROW_MAX) return;
        this.#chores.changed();
        this.#roster.suspect(turn, peer);
      },
    };
  }

  #rosterHost(): RosterHost {
    return {
      joined: (turn, peer, bySync) => {
        this.#view.joined(peer, turn.nowMs);
        if (bySync && !this.#table.full) this.#sync.hurry(turn.nowMs);
      },
      suspected: (turn, peer) => {
        const host = this.#detectorHost(turn);
        this.#detector.probe(peer, turn.nowMs, this.#pace, host);
        // Others miss it too, so there is nothing to wait for.
        if (this.#broken.delete(peer)) this.#roster.suspect(turn, peer);
      },
      lonely: (turn, suspect) => {
        this.#sync.hurry(turn.nowMs);
        const member = this.#table.get(suspect);
        if (member !== undefined) this.#view.reconnect(turn, member);
      },
      died: (turn, peer) => {
        if (!this.#links.has(peer)) return;
        turn.disconnect(peer);
        this.#dropLink(turn, peer);
      },
      lost: (record) => this.#view.remember(contactOf(record)),
      forgotten: (turn, peer) => this.#sought.forgot(peer, turn.nowMs),
      showed: (turn, record, heardOfAtMs) => this.#samples.offer(record, heardOfAtMs, turn.nowMs),
      accused: () => this.#detector.accused(),
    };
  }
}

function contactOf({ peerId, addresses }: KnownRecord): {
  readonly peer: PeerId;
  readonly addresses: readonly string[];
} {
  return { peer: peerId, addresses };
}
