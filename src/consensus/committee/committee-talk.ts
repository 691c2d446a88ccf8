import { create } from "@bufbuild/protobuf";
import type { Clock } from "../../platform/clock.ts";
import { fromHex } from "../../platform/hex.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import {
  CommitteeLossSchema,
  type CommitteeRecord,
  type CommitteeRecordWanted,
  CommitteeRecordWantedSchema,
} from "../../wire/agent_mesh/v1/committee_pb.ts";
import type { FleetSight } from "./fleet-sight.ts";
import type { CommitteeQuestion, CommitteeReply } from "./message-codec.ts";
import type { CommitteeOptions } from "./options.ts";
import { type KnownCommittee, recordOf } from "./record.ts";

/** Neighbours that are asked before a committee is founded. */
const ASKED_MAX = 8;

/** What there is to talk with. */
export interface TalkParts {
  readonly signer: Signer;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly options: CommitteeOptions;
  readonly sight: FleetSight;
  readonly ask: (peer: PeerId, question: CommitteeQuestion) => Promise<CommitteeReply>;
}

/** What this node tells others of its own accord, and asks them. */
export class CommitteeTalk {
  readonly #parts: TalkParts;
  readonly #known: () => KnownCommittee | undefined;
  readonly #heard: (record: CommitteeRecord, from: PeerId) => Promise<void>;
  #comparedAtMs = Number.NEGATIVE_INFINITY;
  #toldLossAtMs = Number.NEGATIVE_INFINITY;

  /** @param heard takes what others know; rejects for what is not to be believed */
  constructor(
    parts: TalkParts,
    known: () => KnownCommittee | undefined,
    heard: (record: CommitteeRecord, from: PeerId) => Promise<void>,
  ) {
    this.#parts = parts;
    this.#known = known;
    this.#heard = heard;
  }

  /** Compares with a neighbour drawn at random, now and then. */
  look(): void {
    const { options, sight, clock, random } = this.#parts;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#comparedAtMs < options.compareIntervalMs) return;
    this.#comparedAtMs = nowMs;
    const neighbours = sight.neighbours();
    const peer = neighbours[Math.floor(random.next() * neighbours.length)];
    if (peer !== undefined) this.compare(peer);
  }

  /**
   * Asks somebody for the committee that it goes by, unless it is the one that is known here. Whether the other one is further behind it
   * finds out in the same way: both sides of a new link ask, and everybody does now and then.
   */
  compare(peer: PeerId): void {
    const { ask, logger } = this.#parts;
    ask(peer, { case: "recordWanted", value: wantedBy(this.#known()) })
      .then(async (reply) => {
        if (reply.case === "record") await this.#heard(reply.value, peer);
      })
      // It may be gone, or take no part in committees; others do.
      .catch((error: unknown) =>
        logger.debug("no committee was heard of", { peer, reason: String(error) }),
      );
  }

  /** Nobody founds a committee while a neighbour knows of one. */
  async askAround(): Promise<void> {
    const { sight, ask } = this.#parts;
    const asked = sight.neighbours().slice(0, ASKED_MAX);
    const answers = await Promise.allSettled(
      asked.map((peer) => ask(peer, { case: "recordWanted", value: wantedBy(undefined) })),
    );
    for (const [at, answer] of answers.entries()) {
      const peer = asked[at];
      if (answer.status === "rejected" || answer.value.case !== "record" || peer === undefined)
        continue;
      // What one of them invents does not keep the others from being heard.
      await this.#heard(answer.value.value, peer).catch(() => undefined);
    }
  }

  /** Tells neighbours of what is new; members tell the members too: of a whole fleet these could not hear it. @param from who told it */
  spread(known: KnownCommittee, from: PeerId | undefined): void {
    const { sight, ask, signer } = this.#parts;
    const value = recordOf(signer, known);
    const involved = new Set([...known.members, ...known.founding.founders]);
    const others = involved.has(sight.self) ? involved : [];
    for (const peer of new Set([...sight.neighbours(), ...others]))
      if (peer !== from && peer !== sight.self)
        // Who was not reached hears of it from others, or when it asks.
        ask(peer, { case: "record", value }).catch(() => undefined);
  }

  /** Says that this node's disk lost what it had promised, until it is heard. */
  tellLoss(): void {
    const { options, ask, sight, clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    const known = this.#known();
    if (known === undefined || nowMs - this.#toldLossAtMs < options.retryAfterMs) return;
    this.#toldLossAtMs = nowMs;
    const value = create(CommitteeLossSchema, { group: fromHex(known.founding.group) });
    // Those too that may have to found another committee.
    for (const peer of new Set([...known.members, ...sight.wanted()]))
      if (peer !== sight.self) ask(peer, { case: "loss", value }).catch(() => undefined);
  }
}

/** A record is of news to who knows that. */
function wantedBy(known: KnownCommittee | undefined): CommitteeRecordWanted {
  return create(
    CommitteeRecordWantedSchema,
    known && { group: fromHex(known.founding.group), changes: known.changes.length },
  );
}
