import type { PeerId } from "../../platform/signer.ts";
import { ProbeOutcome } from "../../wire/agent_mesh/v1/membership_pb.ts";
import { decodeMessage, type Message } from "./codec.ts";
import type { DetectorHost, FailureDetector } from "./failure-detector.ts";
import { DIGEST_UNITS, LISTING_UNITS, type LinkState } from "./links.ts";
import type { MembershipPace } from "./options.ts";
import type { PartialView } from "./partial-view.ts";
import type { Roster } from "./roster.ts";
import type { SampleSync } from "./sample-sync.ts";
import type { Sweeper } from "./sweeper.ts";
import type { MemberTable } from "./table.ts";
import type { TableSync } from "./table-sync.ts";
import type { Turn } from "./turn.ts";

type Body = Message["body"];
type Probing = Extract<Body, { readonly case: "probe" | "probeAnswer" | "probeRequest" }>;

interface Parts {
  readonly table: MemberTable;
  readonly links: ReadonlyMap<PeerId, LinkState>;
  readonly detector: FailureDetector;
  readonly roster: Roster;
  readonly sync: TableSync;
  readonly samples: SampleSync;
  readonly view: PartialView;
  readonly sweeper: Sweeper;
  readonly detectorHost: (turn: Turn) => DetectorHost;
  /** Closes a link on purpose. */
  readonly part: (turn: Turn, peer: PeerId) => void;
  readonly pace: () => MembershipPace;
}

/** Takes messages apart: news first, so that an answer can already carry what follows from it. */
export class Inbox {
  readonly #parts: Parts;
  unlinkedMessages = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Never throws; what is no message is an offence.
   * @returns whether it was one that only the failure detector has to do with, as nearly all of a calm fleet are
   */
  take(turn: Turn, from: PeerId, bytes: Uint8Array): boolean {
    const { links, roster } = this.#parts;
    const link = links.get(from);
    if (link === undefined) {
      this.unlinkedMessages++;
      return false;
    }
    const message = decodeMessage(bytes);
    if (message === undefined) {
      turn.offence(from, "malformed-message");
      return false;
    }
    const { body, records, accusations } = message;
    if (records.length === 0 && accusations.length === 0 && isProbing(body)) {
      this.#probing(turn, link, body);
      return true;
    }
    const agesS = body.case === "recordPage" ? body.value.agesS : undefined;
    records.forEach((record, at) => {
      const ageS = agesS?.[at];
      roster.takeRecord(turn, link, record, ageS === undefined ? undefined : ageS * 1_000);
    });
    for (const accusation of accusations) roster.takeAccusation(turn, link, accusation);
    // What came may have been the end of the link.
    if (links.has(from)) this.#body(turn, link, body);
    return false;
  }

  #body(turn: Turn, link: LinkState, body: Body): void {
    const { sync, sweeper, samples } = this.#parts;
    const from = link.peer;
    if (isProbing(body)) {
      this.#probing(turn, link, body);
      return;
    }
    switch (body.case) {
      case "tableDigest":
        if (this.#pays(turn, link, DIGEST_UNITS)) sync.digest(turn, from, body.value.words);
        break;
      case "listing":
        if (this.#pays(turn, link, LISTING_UNITS))
          sync.listing(turn, from, body.value, sweeper.staleAfterMs);
        break;
      case "want":
        if (this.#pays(turn, link, 1)) sync.want(turn, from, body.value);
        break;
      case "recordPage":
        sync.page(turn, from, body.value);
        break;
      case "sample":
        if (this.#pays(turn, link, LISTING_UNITS)) samples.take(turn, from, body.value);
        break;
      case "sampleWant":
        if (this.#pays(turn, link, LISTING_UNITS)) samples.want(turn, from, body.value);
        break;
      case "parting":
        link.parting = true;
        break;
      case undefined:
        break;
    }
  }

  #probing(turn: Turn, link: LinkState, body: Probing): void {
    const { detector, links, view, pace, detectorHost, part } = this.#parts;
    const { nowMs } = turn;
    const from = link.peer;
    const host = detectorHost(turn);
    if (body.case === "probe") {
      const { nonce } = body.value;
      const outcome = ProbeOutcome.REACHED;
      host.send(from, { case: "probeAnswer", value: { nonce, outcome, links: links.size } });
      detector.probed(from, nowMs, pace(), host);
      this.#isThere(turn, from);
    } else if (body.case === "probeRequest") {
      const { nonce, peer } = body.value;
      detector.request(from, nonce, peer, links.has(peer), nowMs, pace(), host);
    } else {
      const { nonce, outcome, links: itsLinks } = body.value;
      if (!detector.answered(from, nonce, outcome, host)) return;
      link.answeredAtMs = nowMs;
      link.indirectInARow = 0;
      this.#isThere(turn, from);
      if (view.isCrowded(link, itsLinks)) part(turn, from);
    }
  }

  /** A neighbour that may not have shown its record yet. */
  #isThere(turn: Turn, peer: PeerId): void {
    const { table } = this.#parts;
    if (table.get(peer) === undefined) turn.send(peer, { case: "want", value: { peers: [peer] } });
    else table.heardOf(peer, turn.nowMs);
  }

  #pays(turn: Turn, link: LinkState, units: number): boolean {
    if (link.syncs.take(turn.nowMs, units)) return true;
    turn.offence(link.peer, "sync-flood");
    return false;
  }
}

function isProbing(body: Body): body is Probing {
  return body.case === "probe" || body.case === "probeAnswer" || body.case === "probeRequest";
}
