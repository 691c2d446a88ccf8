import { Refused } from "../../platform/network.ts";
import type { PeerId } from "../../platform/signer.ts";
import { ageS } from "../membership/age.ts";
import type { Member } from "../membership/member.ts";
import { isLiving } from "../membership/table.ts";
import { TokenBucket } from "../membership/token-bucket.ts";
import {
  ANSWER_BYTES_MAX,
  ANSWER_RECORDS_MAX,
  ANSWERS_BURST,
  ANSWERS_PER_SECOND,
} from "./bounds.ts";
import { decodeRequest, encodeAnswer } from "./codec.ts";

/** What an answerer says it did, since the start. */
export interface AnswererCounters {
  readonly answered: number;
  readonly refusedBusy: number;
  readonly malformed: number;
}

/** Tells askers of members that they do not know, a page at a time and no more of them than a device can spare. */
export class Answerer {
  readonly #members: () => Iterable<Member>;
  readonly #answers: TokenBucket;
  readonly #counters = { answered: 0, refusedBusy: 0, malformed: 0 };

  constructor(members: () => Iterable<Member>, startMs: number) {
    this.#members = members;
    this.#answers = new TokenBucket(ANSWERS_PER_SECOND, ANSWERS_BURST, startMs);
  }

  counters(): AnswererCounters {
    return { ...this.#counters };
  }

  /** @param asker is not told of itself @throws Refused `fleet.busy`, `fleet.malformed` */
  answer(asker: PeerId, request: Uint8Array, nowMs: number): Uint8Array {
    if (!this.#answers.take(nowMs)) {
      this.#counters.refusedBusy++;
      throw new Refused("fleet.busy", "this agent has answered enough for now");
    }
    const known = decodeRequest(request);
    if (known === undefined) {
      this.#counters.malformed++;
      throw new Refused("fleet.malformed", "this is no request for members");
    }
    this.#counters.answered++;
    const records: Uint8Array[] = [];
    const agesS: number[] = [];
    const suspect: boolean[] = [];
    let members = 0;
    let bytes = 0;
    let more = false;
    for (const { record, state, heardOfAtMs } of this.#members()) {
      if (!isLiving(state)) continue;
      members++;
      if (more || record.peerId === asker || known.has(record.hash)) continue;
      bytes += record.bytes.length;
      if (records.length === ANSWER_RECORDS_MAX || bytes > ANSWER_BYTES_MAX) {
        more = true;
        continue;
      }
      records.push(record.bytes);
      agesS.push(ageS(heardOfAtMs, nowMs));
      suspect.push(state === "suspect");
    }
    return encodeAnswer({ records, agesS, suspect, members, more });
  }
}
