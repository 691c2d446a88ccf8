import type { PeerId } from "../../platform/signer.ts";
import type { Accusation } from "../../wire/agent_mesh/v1/membership_pb.ts";
import { Occasion } from "../../wire/agent_mesh/v1/record_pb.ts";
import { compareRecords, compareVersions, type KnownRecord } from "../records/known-record.ts";
import type { SelfDescription } from "../records/record-codec.ts";
import type { RecordVerifier } from "../records/record-verifier.ts";
import type { BroadcastQueue, Haste } from "./broadcast-queue.ts";
import { accusationNews, type News } from "./codec.ts";
import type { LinkState } from "./links.ts";
import type { Member, MemberChange } from "./member.ts";
import type { MembershipOptions, MembershipPace } from "./options.ts";
import { type OwnRecordCounters, OwnRecordKeeper } from "./own-record-keeper.ts";
import { refreshMs } from "./refresh.ts";
import type { SelfRecord } from "./self-record.ts";
import type { Suspicion, SuspicionSpan, Suspicions } from "./suspicion.ts";
import { isLiving, type MemberTable } from "./table.ts";
import type { Turn } from "./turn.ts";

/** What only tells that all is well needs no certainty: who does not hear of it learns it by comparison of tables. */
const REFRESH_COPIES = 3;
/** Enough to reach whoever suspects by way of one honest neighbour among many that keep it to themselves. */
const REFUTATION_COPIES = 16;
/** After so many comparisons of tables everybody has a record that only some were told of. */
const FRESH_SYNCS = 2;
/** Long enough to compare tables with a neighbour, and to dial. */
const LONELY_EXTENSION_MS = 3_000;
const LONELY_EXTENSIONS_MAX = 3;

/** Among fewer there is little to gain by waiting, and liars are a larger part: what refutes them had better be quick. */
const WAIT_FROM = 64;

/** What the roster works with. */
interface Parts {
  readonly options: MembershipOptions;
  readonly self: SelfRecord;
  readonly table: MemberTable;
  readonly queue: BroadcastQueue;
  readonly suspicions: Suspicions;
  readonly verifier: RecordVerifier;
  readonly links: ReadonlyMap<PeerId, LinkState>;
  /** Members that do not give way. */
  readonly isSought: (peer: PeerId) => boolean;
  readonly pace: () => MembershipPace;
}

/** What others make of what happens to members. */
export interface RosterHost {
  /** It is new, or living again; by comparison of tables, or by word of it. */
  joined(turn: Turn, peer: PeerId, bySync: boolean): void;
  suspected(turn: Turn, peer: PeerId): void;
  /** A suspicion that nobody shares has run out: does the suspect answer, and what do the neighbours know? */
  lonely(turn: Turn, suspect: PeerId): void;
  died(turn: Turn, peer: PeerId): void;
  /** It was gone for so long that it is forgotten. */
  lost(record: KnownRecord): void;
  /** It is in the table no more, for whatever reason. */
  forgotten(turn: Turn, peer: PeerId): void;
  /** A record was shown and is genuine, whether or not there is room for it. */
  showed(turn: Turn, record: KnownRecord, heardOfAtMs: number): void;
  /** This agent is said not to answer. */
  accused(): void;
}

/** What was ignored without being anybody's fault; it only grows. */
export interface RosterCounters {
  duplicateRecords: number;
  staleRecords: number;
  /** New members that were not taken since the table is full. */
  refusedWhenFull: number;
  /** Accusations of members that are unknown, gone, or have another record. */
  idleAccusations: number;
  /** Suspicions that ran out although the suspect answers this agent. */
  ownEyes: number;
}

/** Turns what is said of members into what is known of them: newest record, suspicion, death. */
export class Roster {
  readonly #parts: Parts;
  readonly #host: RosterHost;
  readonly #counters: RosterCounters = {
    duplicateRecords: 0,
    staleRecords: 0,
    refusedWhenFull: 0,
    idleAccusations: 0,
    ownEyes: 0,
  };
  readonly #ownRecord: OwnRecordKeeper;

  constructor(parts: Parts, host: RosterHost) {
    this.#parts = parts;
    this.#host = host;
    this.#ownRecord = new OwnRecordKeeper(parts.self, {
      publish: (turn) => this.#publishSelf(turn, Number.POSITIVE_INFINITY, "twice"),
      accused: () => host.accused(),
    });
  }

  counters(): Readonly<RosterCounters & OwnRecordCounters> {
    return { ...this.#counters, ...this.#ownRecord.counters };
  }

  get nextAtMs(): number {
    return Math.min(this.#ownRecord.nextAtMs, this.#parts.suspicions.nextAtMs);
  }

  tick(turn: Turn): void {
    this.#ownRecord.tick(turn);
    const { suspicions, links, table } = this.#parts;
    for (;;) {
      const suspicion = suspicions.takeDue(turn.nowMs, (due) => this.#moreMs(turn, due));
      if (suspicion === undefined) return;
      const { about, startMs } = suspicion;
      const member = table.get(about);
      if (member === undefined) continue;
      const link = links.get(about);
      // It answers this agent itself, so whoever says otherwise errs or lies.
      if (link !== undefined && link.answeredAtMs >= startMs) {
        this.#counters.ownEyes++;
        this.#change(turn, member, "updated", { state: "alive" });
      } else this.#bury(turn, member);
    }
  }

  /**
   * Nobody else suspects it, and it is no neighbour that could be asked: then it has most likely refuted what was said,
   * and only this agent did not hear of it. Before it is buried tables are compared, and, since neighbours may have no
   * room for it in theirs, it is dialled.
   */
  #moreMs(turn: Turn, { about, accusers, buriers, extensions }: Suspicion): number {
    const lonely = accusers.length === 1 && buriers.length === 0 && !this.#parts.links.has(about);
    if (!lonely || extensions >= LONELY_EXTENSIONS_MAX) return 0;
    this.#host.lonely(turn, about);
    return LONELY_EXTENSION_MS;
  }

  /** Takes a record that a neighbour told. @param ageMs with a record from a comparison of tables */
  takeRecord(turn: Turn, link: LinkState, bytes: Uint8Array, ageMs: number | undefined): void {
    const { verifier, table, self, queue } = this.#parts;
    const known = verifier.known(bytes);
    let member = known === undefined ? undefined : table.get(known.peerId);
    // A record that is known and of a member costs next to nothing; any other takes from what the neighbour may say.
    if (member === undefined && !isAskedFor(link, ageMs, turn) && !link.records.take(turn.nowMs))
      return turn.offence(link.peer, "record-flood");
    const record = known ?? verifier.verify(bytes);
    if (typeof record === "string") return turn.offence(link.peer, record);
    const { peerId } = record;
    if (peerId === self.record.peerId) return this.#ownRecord.takeRecord(turn, record);
    const heardOfAtMs = turn.nowMs - (ageMs ?? 0);
    this.#host.showed(turn, record, heardOfAtMs);
    if (known === undefined) member = table.get(peerId);
    if (member === undefined) return this.#admit(turn, link, record, ageMs);
    const order = compareRecords(record, member.record);
    if (order < 0) {
      this.#counters.staleRecords++;
      return;
    }
    if (member.heardOfAtMs < heardOfAtMs) table.heardOf(peerId, heardOfAtMs);
    if (order === 0) {
      this.#counters.duplicateRecords++;
      queue.toldRecord(peerId, link.peer);
      return;
    }
    this.#replace(turn, link, member, record, ageMs !== undefined);
  }

  /** Takes a claim that a neighbour told. */
  takeAccusation(turn: Turn, link: LinkState, accusation: Accusation): void {
    const { self, table, queue } = this.#parts;
    if (!link.accusations.take(turn.nowMs)) return turn.offence(link.peer, "accusation-flood");
    const { about, epoch, sequence, by, dead } = accusation;
    if (about === self.record.peerId) return this.#ownRecord.takeAccusation(turn, link, accusation);
    queue.hasten(about, turn.nowMs);
    const member = table.get(about);
    if (
      member === undefined ||
      !isLiving(member.state) ||
      compareVersions(accusation, member.record) !== 0
    ) {
      this.#counters.idleAccusations++;
      return;
    }
    // Nobody's word alone makes a member dead: that somebody holds it to be counts as a confirmation.
    if (dead && member.state === "suspect") {
      queue.toldAccusation(about, link.peer);
      this.#parts.suspicions.confirmDeath(about, accusation, link.peer);
      return;
    }
    const accuser = dead ? link.peer : by;
    const news = accusationNews({ about, epoch, sequence, by: accuser, dead: false });
    this.#accuse(turn, member, { accuser, teller: link.peer }, news, link.peer);
  }

  /** This agent itself got no answer from a member. */
  suspect(turn: Turn, peer: PeerId): void {
    const { self, table } = this.#parts;
    const member = table.get(peer);
    if (member === undefined || !isLiving(member.state)) return;
    const me = self.record.peerId;
    const { epoch, sequence } = member.record;
    const news = accusationNews({ about: peer, epoch, sequence, by: me, dead: false });
    this.#accuse(turn, member, { accuser: me, teller: me }, news);
  }

  /** What a suspect is told first of all, so that it can say that it is well (Lifeguard's "buddy" notice). */
  noticeFor(peer: PeerId): News | undefined {
    const suspicion = this.#parts.suspicions.get(peer);
    if (suspicion === undefined) return undefined;
    const { epoch, sequence } = suspicion.version;
    const by = suspicion.accusers[0] ?? this.#parts.self.record.peerId;
    return accusationNews({ about: peer, epoch, sequence, by, dead: false });
  }

  /** How a dead member is told of. */
  deathNews({ record }: Member): News {
    const { peerId, epoch, sequence } = record;
    const by = this.#parts.self.record.peerId;
    return accusationNews({ about: peerId, epoch, sequence, by, dead: true });
  }

  /** Tells something else of this agent. @throws RangeError */
  describe(turn: Turn, self: SelfDescription): void {
    this.#parts.self.renew(Occasion.UNSPECIFIED, { self });
    this.#publishSelf(turn, this.#copies(), this.#unhurried());
  }

  /** Tells that this agent is as it was. */
  refresh(turn: Turn): void {
    this.#parts.self.renew(Occasion.REFRESH);
    this.#publishSelf(turn, this.#copies(), "later");
  }

  /** Drops a member, to make room or since it is gone for long. */
  forget(turn: Turn, { record, state }: Member): void {
    const { table, queue, suspicions } = this.#parts;
    table.forget(record.peerId);
    queue.supersede(record.peerId);
    suspicions.end(record.peerId);
    turn.changes.push({
      kind: "forgotten",
      peer: record.peerId,
      before: { record, state },
      after: { record, state },
    });
    // One that lives and only gave way can be met again by anybody's word; one that is gone has to be looked for.
    if (state === "dead") this.#host.lost(record);
    this.#host.forgotten(turn, record.peerId);
  }

  #admit(turn: Turn, link: LinkState, record: KnownRecord, ageMs: number | undefined): void {
    const { table, links, isSought, options } = this.#parts;
    const { peerId, leaving } = record;
    // Where tables are full there is no room for it at most of those who would be told at once.
    const haste = table.full ? "later" : this.#unhurried();
    if (table.full) {
      const hasPlace = (peer: PeerId): boolean => links.has(peer) || isSought(peer);
      const { refreshIntervalMs } = options;
      // A neighbour must be known, and whoever is sought. A stranger takes the place of one that has missed a refresh, not of who is well.
      const unheardBeforeMs = hasPlace(peerId)
        ? Number.POSITIVE_INFINITY
        : turn.nowMs - 2 * refreshMs(table.livingCount, refreshIntervalMs);
      const found =
        hasPlace(peerId) || link.evictions.take(turn.nowMs)
          ? table.leastWanted(hasPlace, unheardBeforeMs)
          : undefined;
      // In a table full of neighbours one of them gives way to whoever is sought.
      const victim =
        found ?? (isSought(peerId) ? table.leastWanted(isSought, unheardBeforeMs) : undefined);
      if (victim === undefined) {
        this.#counters.refusedWhenFull++;
        return;
      }
      this.forget(turn, victim);
    }
    table.add(record, leaving ? "left" : "alive", turn.nowMs, ageMs);
    // Others can learn old news as this agent did; only what is new in the fleet is worth telling unasked.
    if (ageMs === undefined) this.#spread(turn, record, haste, this.#copies(), link.peer);
    if (leaving) return;
    turn.changes.push({ kind: "joined", peer: peerId, after: { record, state: "alive" } });
    this.#host.joined(turn, peerId, ageMs !== undefined);
  }

  #replace(
    turn: Turn,
    link: LinkState,
    member: Member,
    record: KnownRecord,
    bySync: boolean,
  ): void {
    const { suspicions } = this.#parts;
    const { peerId, leaving } = record;
    const before = member.state;
    const refuted = before === "suspect";
    const gone = !isLiving(before);
    const kind = leaving ? (before === "left" ? "updated" : "left") : gone ? "back" : "updated";
    const refutes = refuted || record.occasion === Occasion.REFUTATION;
    const refreshes = kind === "updated" && !refutes && record.occasion === Occasion.REFRESH;
    const copies = refreshes ? REFRESH_COPIES : this.#copies(refutes);
    const stillSuspected = link.peer !== peerId && this.#standsAgainst(record, member);
    suspicions.end(peerId);
    const state = leaving ? "left" : "alive";
    this.#change(turn, member, kind, { record, state, isNews: !bySync });
    const haste = leaving ? "twice" : refutes ? "now" : refreshes ? "later" : this.#unhurried();
    this.#spread(turn, record, haste, copies, link.peer);
    if (kind === "back") this.#host.joined(turn, peerId, bySync);
    if (stillSuspected) this.suspect(turn, peerId);
  }

  /** What this agent has seen itself stands against a newer record that was made neither to answer nor after a start. */
  #standsAgainst({ peerId, leaving, epoch, occasion }: KnownRecord, { record }: Member): boolean {
    const { suspicions, self } = this.#parts;
    if (leaving || epoch !== record.epoch || occasion === Occasion.REFUTATION) return false;
    return suspicions.get(peerId)?.accusers.includes(self.record.peerId) === true;
  }

  #accuse(
    turn: Turn,
    member: Member,
    by: { readonly accuser: PeerId; readonly teller: PeerId },
    news: News,
    from?: PeerId,
  ): void {
    const { suspicions, queue } = this.#parts;
    const { record } = member;
    if (member.state === "suspect") {
      if (suspicions.confirm(record.peerId, record, by))
        queue.add(record.peerId, news, "now", { copies: this.#copies(), from }, turn.nowMs);
      else if (from !== undefined) queue.toldAccusation(record.peerId, from, news.bytes);
      return;
    }
    suspicions.start(record.peerId, record, by, this.#span(), turn.nowMs);
    this.#change(turn, member, "suspect", { state: "suspect" });
    this.#tellFresh(turn, member, from);
    queue.add(record.peerId, news, "twice", { copies: this.#copies(), from }, turn.nowMs);
    this.#host.suspected(turn, record.peerId);
  }

  /** A suspicion is of one record: whoever has not heard of that one yet could make nothing of it. */
  #tellFresh(turn: Turn, { record, recordAtMs }: Member, from: PeerId | undefined): void {
    if (turn.nowMs - recordAtMs <= FRESH_SYNCS * this.#parts.pace().syncIntervalMs)
      this.#spread(turn, record, "twice", this.#copies(), from);
  }

  #spread(turn: Turn, record: KnownRecord, haste: Haste, copies: number, from?: PeerId): void {
    const { peerId, bytes } = record;
    this.#parts.queue.add(peerId, { kind: "record", bytes }, haste, { copies, from }, turn.nowMs);
  }

  /** How a record goes that answers nobody. */
  #unhurried(): Haste {
    return this.#parts.table.livingCount >= WAIT_FROM ? "soon" : "now";
  }

  #bury(turn: Turn, member: Member): void {
    const { queue } = this.#parts;
    const { peerId } = member.record;
    this.#change(turn, member, "dead", { state: "dead" });
    queue.supersede(peerId);
    queue.add(peerId, this.deathNews(member), "now", { copies: this.#copies() }, turn.nowMs);
    this.#host.died(turn, peerId);
  }

  /** Tells the newest record of this agent. */
  #publishSelf(turn: Turn, copies: number, haste: Haste): void {
    const { self, table } = this.#parts;
    const { record } = self;
    const member = table.get(record.peerId);
    if (member === undefined) return;
    table.heardOf(record.peerId, turn.nowMs);
    this.#change(turn, member, "updated", { record, state: "alive" });
    this.#spread(turn, record, haste, copies);
  }

  #change(
    turn: Turn,
    member: Member,
    kind: MemberChange["kind"],
    to: {
      readonly record?: KnownRecord;
      readonly state: Member["state"];
      readonly isNews?: boolean;
    },
  ): void {
    const before = { record: member.record, state: member.state };
    const { peerId } = member.record;
    this.#parts.table.change(peerId, turn.nowMs, to);
    const after = { record: member.record, state: member.state };
    turn.changes.push({ kind, peer: peerId, before, after });
  }

  /** To how many neighbours a piece of news goes: λ log n, as in SWIM. */
  #copies(refutes = false): number {
    const { options, table } = this.#parts;
    const copies = options.retransmitMultiplier * Math.ceil(Math.log10(table.livingCount + 1));
    return refutes ? Math.max(copies, REFUTATION_COPIES) : copies;
  }

  #span(): SuspicionSpan {
    const { options, table, pace } = this.#parts;
    const fleet = table.livingCount;
    const minMs =
      options.suspicionMultiplier * Math.max(1, Math.log10(fleet)) * pace().probeIntervalMs;
    return {
      minMs,
      maxMs: minMs * options.suspicionFactorMax,
      confirmationsWanted: Math.min(options.confirmationsWanted, fleet - 2),
    };
  }
}

/** Records with an age come as an answer; what was asked for takes nothing from what the neighbour may tell unasked. */
function isAskedFor(link: LinkState, ageMs: number | undefined, { nowMs }: Turn): boolean {
  if (ageMs === undefined || link.owedRecords === 0) return false;
  link.owedRecords--;
  return link.askedRecords.take(nowMs);
}
