import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { Listing, RecordPage, Want } from "../../wire/agent_mesh/v1/membership_pb.ts";
import { compareVersions, type RecordVersion } from "../records/known-record.ts";
import { AGE_MAX_S, ageS } from "./age.ts";
import { LISTING_MEMBERS_MAX, type News, newsBytes, WANT_MEMBERS_MAX } from "./codec.ts";
import { BUCKETS, bucketOf, inMask } from "./digest.ts";
import type { Member } from "./member.ts";
import type { MembershipPace } from "./options.ts";
import { isLiving, type MemberTable } from "./table.ts";
import type { Turn } from "./turn.ts";

/** Records in one page: a Want is answered in several when they are large. */
export const PAGE_BYTES_MAX = 49_152;
/** A neighbour that lists and then does not send what is wanted is given up after this time. */
const PULL_PATIENCE_MS = 5_000;
/** What is told at once to a neighbour that lists members as living that are not. */
const CORRECTIONS_MAX = 64;
/** Unknown members that are asked for in one exchange when the table is full. */
const WANTED_WHEN_FULL = 2;
/** How much rarer tables are compared that can not become the same. */
export const FULL_FACTOR = 12;
/** An exchange that brought members is soon followed by another one. */
const FRUITFUL_GAP_MS = 1_000;
const NONE: readonly [number, number] = [0, 0];

interface Wanted extends RecordVersion {
  readonly peer: PeerId;
}

interface Pull {
  readonly wanted: Wanted[];
  /** Records that were asked for, and have not come yet. */
  underWay: number;
  untilMs: number;
}

/**
 * Push-pull anti-entropy with one neighbour at a time (Demers et al. 1987): digests of 64 buckets, then lists of those that
 * differ, then the records that one side lacks, each side at its own pace. It repairs what gossip lost and brings
 * newcomers the table. Dead members are not listed, so they can be forgotten; who lists one as living is corrected.
 */
export class TableSync {
  readonly #table: MemberTable;
  readonly #random: Random;
  /** What the dead are announced with. */
  readonly #deathNews: (member: Member) => News;
  readonly #asked: (peer: PeerId, records: number) => void;
  readonly #pulls = new Map<PeerId, Pull>();
  #nextAtMs: number;

  /** @param asked hears how many records a neighbour is asked for */
  constructor(
    table: MemberTable,
    random: Random,
    deathNews: (member: Member) => News,
    asked: (peer: PeerId, records: number) => void,
  ) {
    this.#table = table;
    this.#random = random;
    this.#deathNews = deathNews;
    this.#asked = asked;
    this.#nextAtMs = 0;
  }

  get nextAtMs(): number {
    return this.#nextAtMs;
  }

  linkDown(peer: PeerId): void {
    this.#pulls.delete(peer);
  }

  /** The next exchange does not wait for long: there is something to learn. */
  hurry(nowMs: number): void {
    this.#nextAtMs = Math.min(this.#nextAtMs, nowMs + FRUITFUL_GAP_MS * (1 + this.#random.next()));
  }

  /** Begins an exchange now, unless one began just now. */
  begin(turn: Turn, peer: PeerId, pace: MembershipPace): void {
    const jitter = 0.75 + 0.5 * this.#random.next();
    this.#nextAtMs = turn.nowMs + this.#intervalMs(pace) * jitter;
    turn.send(peer, { case: "tableDigest", value: { words: this.#table.digest.words() } });
  }

  /** @param draw a neighbour at random */
  tick(turn: Turn, pace: MembershipPace, draw: () => PeerId | undefined): void {
    for (const [peer, { untilMs }] of this.#pulls)
      if (untilMs <= turn.nowMs) this.#pulls.delete(peer);
    if (this.#nextAtMs > turn.nowMs) return;
    const peer = draw();
    if (peer !== undefined) this.begin(turn, peer, pace);
    else this.#nextAtMs = turn.nowMs + this.#intervalMs(pace);
  }

  /** In a fleet larger than the tables these differ anyway, and each comparison costs a whole list. */
  #intervalMs({ syncIntervalMs }: MembershipPace): number {
    return this.#table.full ? FULL_FACTOR * syncIntervalMs : syncIntervalMs;
  }

  /** A neighbour told its digest: it gets the list of what differs. */
  digest(turn: Turn, from: PeerId, words: readonly number[]): void {
    const differing = this.#table.digest.differences(words);
    if (differing[0] === 0 && differing[1] === 0) return;
    const listed: Member[][] = Array.from({ length: BUCKETS }, () => []);
    for (const member of this.#table.all())
      if (isLiving(member.state)) listed[bucketOf(member.record.hash)]?.push(member);
    let page: Member[] = [];
    let mask: [number, number] = [0, 0];
    const flush = (): void => {
      this.#sendListing(turn, from, page, mask, false);
      page = [];
      mask = [0, 0];
    };
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      if (!inMask(differing, bucket)) continue;
      const members = listed[bucket] ?? [];
      if (page.length > 0 && page.length + members.length > LISTING_MEMBERS_MAX) flush();
      page.push(...members.slice(0, LISTING_MEMBERS_MAX));
      if (members.length > LISTING_MEMBERS_MAX) continue;
      if (bucket < 32) mask[0] = (mask[0] | (1 << bucket)) >>> 0;
      else mask[1] = (mask[1] | (1 << (bucket - 32))) >>> 0;
    }
    flush();
  }

  /** A neighbour listed members: what it has newer is wanted, what this agent has newer is offered. */
  listing(turn: Turn, from: PeerId, listing: Listing, staleAfterMs: number): void {
    const { peers, epochs, sequences, agesS } = listing;
    const complete: readonly [number, number] = [listing.completeLow, listing.completeHigh];
    const wanted: Wanted[] = [];
    const offered: Member[] = [];
    const corrections: News[] = [];
    let unknownLeft = this.#table.full ? WANTED_WHEN_FULL : this.#table.membersMax;
    for (let at = 0; at < peers.length; at++) {
      const peer = peers[at] ?? "";
      const version = { peer, epoch: epochs[at] ?? 0, sequence: sequences[at] ?? 0 };
      const ageMs = Math.min(agesS[at] ?? 0, AGE_MAX_S) * 1_000;
      const mine = this.#table.get(peer);
      if (mine === undefined) {
        if (ageMs < staleAfterMs && unknownLeft-- > 0) wanted.push(version);
        continue;
      }
      const order = compareVersions(mine.record, version);
      if (order < 0) wanted.push(version);
      else if (!isLiving(mine.state)) this.#correct(corrections, mine, order > 0);
      else if (order > 0) offered.push(mine);
      else this.#table.heardOf(peer, turn.nowMs - ageMs);
    }
    if (complete[0] !== 0 || complete[1] !== 0) {
      const listed = new Set(peers);
      for (const member of this.#table.all())
        if (
          isLiving(member.state) &&
          inMask(complete, bucketOf(member.record.hash)) &&
          !listed.has(member.record.peerId)
        )
          offered.push(member);
    }
    if (corrections.length > 0) turn.send(from, undefined, corrections);
    // Offers to an answer would be answered by offers for ever between tables that can not hold each other's members.
    if (!listing.answer)
      for (let at = 0; at < offered.length; at += LISTING_MEMBERS_MAX)
        this.#sendListing(turn, from, offered.slice(at, at + LISTING_MEMBERS_MAX), NONE, true);
    this.#want(turn, from, wanted);
  }

  /** A neighbour wants records. */
  want(turn: Turn, from: PeerId, { peers }: Want): void {
    let news: News[] = [];
    let agesS: number[] = [];
    let bytes = 0;
    for (const peer of peers) {
      const member = this.#table.get(peer);
      if (member === undefined) continue;
      const one: News = { kind: "record", bytes: member.record.bytes };
      if (bytes + newsBytes(one) > PAGE_BYTES_MAX) {
        turn.send(from, { case: "recordPage", value: { last: false, agesS } }, news);
        news = [];
        agesS = [];
        bytes = 0;
      }
      news.push(one);
      agesS.push(ageS(member.heardOfAtMs, turn.nowMs));
      bytes += newsBytes(one);
    }
    turn.send(from, { case: "recordPage", value: { last: true, agesS } }, news);
  }

  /** Wanted records came, and were taken: on with the rest. */
  page(turn: Turn, from: PeerId, { last }: RecordPage): void {
    if (last) this.#pull(turn, from);
  }

  #want(turn: Turn, from: PeerId, wanted: readonly Wanted[]): void {
    if (wanted.length === 0) return;
    const pull = this.#pulls.get(from);
    if (pull === undefined) {
      this.#pulls.set(from, { wanted: [...wanted], underWay: 0, untilMs: 0 });
      this.#pull(turn, from);
    } else if (pull.wanted.length < this.#table.membersMax) pull.wanted.push(...wanted);
  }

  #pull(turn: Turn, from: PeerId): void {
    const pull = this.#pulls.get(from);
    if (pull === undefined) return;
    pull.underWay = 0;
    let roomLeft = Math.max(WANTED_WHEN_FULL, this.#roomLeft());
    const peers: PeerId[] = [];
    while (peers.length < WANT_MEMBERS_MAX) {
      const next = pull.wanted.pop();
      if (next === undefined) break;
      const mine = this.#table.get(next.peer);
      if (mine === undefined ? roomLeft-- > 0 : compareVersions(mine.record, next) < 0)
        peers.push(next.peer);
    }
    if (peers.length === 0) {
      this.#pulls.delete(from);
      return;
    }
    pull.underWay = peers.length;
    pull.untilMs = turn.nowMs + PULL_PATIENCE_MS;
    this.#asked(from, peers.length);
    turn.send(from, { case: "want", value: { peers } });
  }

  /**
   * For how many there is room beside those that neighbours were asked for just now. Not beside all that they listed: one who lists
   * what does not exist must not keep this agent from asking the others.
   */
  #roomLeft(): number {
    let coming = 0;
    for (const { underWay } of this.#pulls.values()) coming += underWay;
    return this.#table.membersMax - this.#table.size - coming;
  }

  #correct(corrections: News[], mine: Member, newer: boolean): void {
    if (corrections.length >= CORRECTIONS_MAX) return;
    if (newer || mine.state === "left")
      corrections.push({ kind: "record", bytes: mine.record.bytes });
    if (mine.state === "dead") corrections.push(this.#deathNews(mine));
  }

  #sendListing(
    turn: Turn,
    to: PeerId,
    members: readonly Member[],
    complete: readonly [number, number],
    answer: boolean,
  ): void {
    turn.send(to, {
      case: "listing",
      value: {
        completeLow: complete[0],
        completeHigh: complete[1],
        peers: members.map(({ record }) => record.peerId),
        epochs: members.map(({ record }) => record.epoch),
        sequences: members.map(({ record }) => record.sequence),
        agesS: members.map((member) => ageS(member.heardOfAtMs, turn.nowMs)),
        answer,
      },
    });
  }
}
