import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { KnownRecord } from "../records/known-record.ts";
import type { RecordFault } from "../records/record-codec.ts";
import type { RecordVerifier } from "../records/record-verifier.ts";
import {
  ASKS_IN_FLIGHT_MAX,
  ASKS_MAX,
  CONFIRMING_ANSWERS,
  CONTACTS_MAX,
  FRUITLESS_ANSWERS_MAX,
  REQUESTS_MAX,
  ROWS_MAX,
  SURVEY_BYTES_MAX,
  SURVEY_DEADLINE_MS,
} from "./bounds.ts";
import { decodeAnswer, encodeRequest } from "./codec.ts";
import { KnownFilter } from "./known-filter.ts";
import type { SurveyProgress } from "./progress.ts";
import { rowOf, Shared, type SurveyRow } from "./row.ts";

/** Somebody who can be asked. */
export interface Contact {
  readonly peer: PeerId;
  readonly addresses: readonly string[];
}

/** What happens to a survey. `nowMs` is monotonic. */
export type SurveyInput = { readonly nowMs: number } & (
  | { readonly kind: "tick" }
  | { readonly kind: "answer"; readonly from: PeerId; readonly bytes: Uint8Array }
  /** It could not be reached, or refused. */
  | { readonly kind: "failed"; readonly from: PeerId }
);

/**
 * Why a survey ended. `known`: the table holds everybody, so nobody is asked; `covered`: everybody of the fleet's sample was found, and the last answers brought next to nobody;
 * `fruitless`: many answers in a row brought nobody; `exhausted`: everybody known was asked; else the bound that was met.
 */
export type SurveyEnd =
  | "known"
  | "covered"
  | "fruitless"
  | "exhausted"
  | "asks"
  | "requests"
  | "bytes"
  | "rows"
  | "deadline";

/** Why an answerer is complained of. */
export type SurveyOffence = RecordFault | "malformed-message";

/** What is to be done. */
export interface SurveyEffects {
  readonly ask: readonly (Contact & { readonly request: Uint8Array })[];
  /** Agents that will not be asked again. */
  readonly done: readonly PeerId[];
  readonly offences: readonly { readonly peer: PeerId; readonly kind: SurveyOffence }[];
  /** Set with the last step. */
  readonly ended?: SurveyEnd;
}

/** What a survey begins with. */
export interface SurveyStart {
  readonly self: PeerId;
  readonly verifier: RecordVerifier;
  readonly random: Random;
  readonly startMs: number;
  /** There are agents beyond those that this one holds. */
  readonly partial: boolean;
  /** What this agent holds itself, gone ones too. */
  readonly rows: Iterable<{
    readonly record: KnownRecord;
    readonly state: SurveyRow["state"];
    readonly heardOfAtMs: number;
  }>;
  /** Whom to ask first: neighbours, which cost no dial, then other members. */
  readonly contacts: Iterable<Contact>;
  /** A uniform sample of the fleet: the share of it that is found is the share of the fleet that is. */
  readonly sample: readonly PeerId[];
}

/**
 * Finds the whole of a fleet of which every agent knows but a part: asks one agent after another whom it knows beyond
 * those known already, in the order in which it learnt of them. Pure: inputs in, effects out. Nobody's answer is taken on
 * trust: only signed records count, so a liar can hide agents, not invent them.
 */
export class Survey {
  readonly rows = new Map<PeerId, SurveyRow>();
  readonly #start: SurveyStart;
  readonly #shared = new Shared();
  readonly #contacts: Contact[] = [];
  #next = 0;
  readonly #asking = new Map<PeerId, { contact: Contact; fresh: number }>();
  readonly #missing: Set<PeerId>;
  /** Names of those known, grown as they are found. */
  readonly #names: number[] = [];
  /** How many were new in the latest answers. */
  readonly #latest: number[] = [];
  #fruitless = 0;
  #asked = 0;
  #answered = 0;
  #requests = 0;
  #bytes = 0;
  #ended: SurveyEnd | undefined;

  constructor(start: SurveyStart) {
    this.#start = start;
    this.#missing = new Set(start.sample);
    for (const { record, state, heardOfAtMs } of start.rows) this.#add(record, state, heardOfAtMs);
    for (const contact of start.contacts) this.#meet(contact);
  }

  get ended(): SurveyEnd | undefined {
    return this.#ended;
  }

  progress(): SurveyProgress {
    const { sample, partial } = this.#start;
    return {
      found: this.rows.size,
      coverage: sample.length === 0 || !partial ? 1 : 1 - this.#missing.size / sample.length,
      asked: this.#asked,
      answered: this.#answered,
      requests: this.#requests,
      bytes: this.#bytes,
    };
  }

  /** Takes one input. After the end nothing is asked for. */
  step(input: SurveyInput): SurveyEffects {
    const effects = { ask: [], done: [], offences: [] } as {
      ask: (Contact & { request: Uint8Array })[];
      done: PeerId[];
      offences: { peer: PeerId; kind: SurveyOffence }[];
    };
    if (this.#ended !== undefined) return effects;
    if (input.kind === "answer") this.#answer(effects, input);
    if (input.kind === "failed" && this.#asking.delete(input.from)) effects.done.push(input.from);
    const ended = this.#end(input.nowMs);
    if (ended !== undefined) {
      this.#ended = ended;
      effects.done.push(...this.#asking.keys());
      effects.ask.length = 0;
      return { ...effects, ended };
    }
    while (this.#asking.size < ASKS_IN_FLIGHT_MAX && this.#asked < ASKS_MAX) {
      const contact = this.#contacts[this.#next];
      if (contact === undefined) break;
      this.#next++;
      this.#asked++;
      this.#asking.set(contact.peer, { contact, fresh: 0 });
      effects.ask.push(this.#ask(contact));
    }
    return effects;
  }

  #answer(
    effects: { ask: (Contact & { request: Uint8Array })[]; done: PeerId[] } & {
      offences: { peer: PeerId; kind: SurveyOffence }[];
    },
    { from, bytes, nowMs }: Extract<SurveyInput, { readonly kind: "answer" }>,
  ): void {
    const asking = this.#asking.get(from);
    if (asking === undefined) return;
    this.#bytes += bytes.length;
    const answer = decodeAnswer(bytes);
    if (answer === undefined) effects.offences.push({ peer: from, kind: "malformed-message" });
    let fresh = 0;
    for (const [at, record] of (answer?.records ?? []).entries()) {
      const known = this.#start.verifier.verify(record);
      if (typeof known === "string") {
        effects.offences.push({ peer: from, kind: known });
        break;
      }
      const heardOfAtMs = nowMs - 1_000 * (answer?.agesS[at] ?? 0);
      const state = answer?.suspect[at] === true ? "suspect" : "alive";
      if (known.leaving || !this.#add(known, state, heardOfAtMs)) continue;
      fresh++;
      this.#meet({ peer: known.peerId, addresses: known.addresses });
    }
    asking.fresh += fresh;
    // Who says that there is more, and then tells of nobody new, is not asked for ever.
    if (answer?.more === true && fresh > 0 && this.#requests < REQUESTS_MAX) {
      effects.ask.push(this.#ask(asking.contact));
      return;
    }
    this.#answered++;
    this.#fruitless = asking.fresh === 0 ? this.#fruitless + 1 : 0;
    this.#latest.push(asking.fresh);
    if (this.#latest.length > CONFIRMING_ANSWERS) this.#latest.shift();
    this.#asking.delete(from);
    effects.done.push(from);
  }

  #end(nowMs: number): SurveyEnd | undefined {
    if (!this.#start.partial) return "known";
    const latest = this.#latest.reduce((sum, fresh) => sum + fresh, 0);
    if (this.#missing.size === 0 && this.#latest.length === CONFIRMING_ANSWERS && latest <= 1)
      return "covered";
    if (this.#fruitless >= FRUITLESS_ANSWERS_MAX) return "fruitless";
    if (nowMs - this.#start.startMs >= SURVEY_DEADLINE_MS) return "deadline";
    if (this.#bytes >= SURVEY_BYTES_MAX) return "bytes";
    if (this.rows.size >= ROWS_MAX) return "rows";
    if (this.#requests >= REQUESTS_MAX) return "requests";
    if (this.#asking.size > 0) return undefined;
    if (this.#asked >= ASKS_MAX) return "asks";
    return this.#next >= this.#contacts.length ? "exhausted" : undefined;
  }

  #ask(contact: Contact): Contact & { readonly request: Uint8Array } {
    const seed = Math.floor(this.#start.random.next() * 2 ** 32);
    const request = encodeRequest(KnownFilter.of(this.#names, seed));
    this.#requests++;
    this.#bytes += request.length;
    return { ...contact, request };
  }

  /** @returns whether it is new */
  #add(record: KnownRecord, state: SurveyRow["state"], heardOfAtMs: number): boolean {
    const before = this.rows.get(record.peerId);
    if (before === undefined && this.rows.size >= ROWS_MAX) return false;
    if (before !== undefined && before.heardOfAtMs >= heardOfAtMs) return false;
    this.rows.set(record.peerId, rowOf(record, state, heardOfAtMs, this.#shared));
    this.#missing.delete(record.peerId);
    if (before === undefined) this.#names.push(record.hash);
    return before === undefined;
  }

  #meet(contact: Contact): void {
    // Those that were asked already hold their places, so that nobody is asked twice.
    if (contact.peer !== this.#start.self && this.#contacts.length < CONTACTS_MAX)
      this.#contacts.push(contact);
  }
}
