import type { Clock, Timer } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Network, NetworkError, NetworkGate } from "../../platform/network.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { Member } from "../membership/member.ts";
import { isLiving } from "../membership/table.ts";
import type { RecordVerifier } from "../records/record-verifier.ts";
import { Answerer, type AnswererCounters } from "./answerer.ts";
import { FLEET_PROTOCOL, SURVEY_DEADLINE_MS, SURVEY_KEPT_MS } from "./bounds.ts";
import type { SurveyProgress } from "./progress.ts";
import type { SurveyRow } from "./row.ts";
import {
  type Contact,
  Survey,
  type SurveyEffects,
  type SurveyEnd,
  type SurveyInput,
} from "./survey.ts";

const REQUEST_TIMEOUT_MS = 10_000;

/** The members as a survey begins with them. */
export interface SurveyedFleet {
  readonly self: PeerId;
  members(): Iterable<Member>;
  /** There are others beyond those. */
  isPartial(): boolean;
  sample(): readonly PeerId[];
  /** Opens a link if there is none. @returns whether it was opened now @throws NetworkError */
  linkFor(peer: PeerId, addresses: readonly string[]): Promise<boolean>;
  /** Closes a link that was opened for the survey. */
  part(peer: PeerId): void;
}

/** What a runner works with. */
export interface SurveyParts {
  readonly network: Pick<Network, "serve" | "request" | "links">;
  readonly fleet: SurveyedFleet;
  readonly verifier: RecordVerifier;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly gate: Pick<NetworkGate, "offence">;
}

/** A survey that runs or is kept. */
export interface SurveyState {
  /** Counts the surveys since the start. */
  readonly number: number;
  readonly progress: SurveyProgress;
  readonly tookMs: number;
  /** Absent while it runs. */
  readonly ended?: SurveyEnd;
  /** Since its end. */
  readonly endedMsAgo?: number;
  /** By peer; grows while it runs. */
  readonly rows: ReadonlyMap<PeerId, SurveyRow>;
}

interface Kept {
  readonly number: number;
  readonly survey: Survey;
  readonly startMs: number;
  endMs: number | undefined;
  readonly opened: Set<PeerId>;
}

/** Answers the surveys of others, and performs this agent's own: one at a time, and kept for a minute. */
export class SurveyRunner {
  readonly #parts: SurveyParts;
  readonly #answerer: Answerer;
  readonly #waiting = new Set<() => void>();
  #kept: Kept | undefined;
  #numbers = 0;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(parts: SurveyParts) {
    const { network, clock, fleet } = parts;
    this.#parts = parts;
    this.#answerer = new Answerer(() => fleet.members(), clock.monotonicMs());
    network.serve(FLEET_PROTOCOL, {
      request: (from, bytes) => this.#answerer.answer(from, bytes, clock.monotonicMs()),
    });
  }

  counters(): AnswererCounters {
    return this.#answerer.counters();
  }

  /** The survey that runs or is kept. */
  current(): SurveyState | undefined {
    const kept = this.#kept;
    if (kept === undefined) return undefined;
    const nowMs = this.#parts.clock.monotonicMs();
    const { number, survey, startMs, endMs } = kept;
    return {
      number,
      progress: survey.progress(),
      tookMs: (endMs ?? nowMs) - startMs,
      rows: survey.rows,
      ...(survey.ended !== undefined && { ended: survey.ended }),
      ...(endMs !== undefined && { endedMsAgo: nowMs - endMs }),
    };
  }

  /** Begins a survey unless one runs or is kept, and waits for its end so long at most. */
  async survey(waitMs: number): Promise<SurveyState | undefined> {
    if (this.#kept === undefined) this.#begin();
    if (this.#kept?.endMs === undefined && !this.#stopped) await this.#ended(waitMs);
    return this.current();
  }

  /** Ends the survey that runs. Idempotent. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#kept = undefined;
    this.#wake();
  }

  #begin(): void {
    if (this.#stopped) return;
    const { clock, fleet, verifier, random } = this.#parts;
    const startMs = clock.monotonicMs();
    const survey = new Survey({
      self: fleet.self,
      verifier,
      random: random.fork(`survey/${this.#numbers}`),
      startMs,
      partial: fleet.isPartial(),
      rows: fleet.members(),
      contacts: this.#contacts(),
      sample: fleet.sample(),
    });
    this.#kept = { number: ++this.#numbers, survey, startMs, endMs: undefined, opened: new Set() };
    this.#timer = clock.setTimer("mesh.survey", SURVEY_DEADLINE_MS, () =>
      this.#input(survey, { kind: "tick" }),
    );
    this.#input(survey, { kind: "tick" });
  }

  /** Neighbours first. */
  #contacts(): Contact[] {
    const { fleet, network } = this.#parts;
    const linked = new Set(network.links().map(({ peer }) => peer));
    return [...fleet.members()]
      .filter(({ state, record }) => isLiving(state) && record.peerId !== fleet.self)
      .map(({ record }) => ({ peer: record.peerId, addresses: record.addresses }))
      .sort((a, b) => Number(linked.has(b.peer)) - Number(linked.has(a.peer)));
  }

  #input(survey: Survey, input: UntimedInput): void {
    const kept = this.#kept;
    if (this.#stopped || kept?.survey !== survey) return;
    this.#perform(kept, survey.step({ ...input, nowMs: this.#parts.clock.monotonicMs() }));
  }

  #perform(kept: Kept, { ask, done, offences, ended }: SurveyEffects): void {
    const { gate, fleet, clock } = this.#parts;
    for (const { peer, kind } of offences) gate.offence(peer, kind);
    for (const peer of done) if (kept.opened.delete(peer)) fleet.part(peer);
    for (const one of ask) void this.#ask(kept, one);
    if (ended === undefined) return;
    kept.endMs = clock.monotonicMs();
    this.#timer?.cancel();
    this.#timer = clock.setTimer("mesh.survey", SURVEY_KEPT_MS, () => {
      if (this.#kept === kept) this.#kept = undefined;
    });
    this.#wake();
  }

  async #ask(
    kept: Kept,
    { peer, addresses, request }: SurveyEffects["ask"][number],
  ): Promise<void> {
    const { network, fleet, logger } = this.#parts;
    const { survey, opened } = kept;
    try {
      if (await fleet.linkFor(peer, addresses)) {
        if (kept.endMs !== undefined || this.#stopped) fleet.part(peer);
        else opened.add(peer);
      }
      const timeoutMs = REQUEST_TIMEOUT_MS;
      const bytes = await network.request(peer, FLEET_PROTOCOL, request, { timeoutMs });
      this.#input(survey, { kind: "answer", from: peer, bytes });
    } catch (error) {
      const { code, refusal } = error as NetworkError;
      logger.debug("an agent did not answer a survey", { peer, code, refusal });
      this.#input(survey, { kind: "failed", from: peer });
    }
  }

  async #ended(waitMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const finish = (): void => {
        timer.cancel();
        this.#waiting.delete(finish);
        resolve();
      };
      const timer = this.#parts.clock.setTimer("mesh.survey-wait", waitMs, finish);
      this.#waiting.add(finish);
    });
  }

  #wake(): void {
    for (const finish of this.#waiting) finish();
  }
}

/** Without the timestamp, which the runner knows. */
type UntimedInput = SurveyInput extends infer Each
  ? Each extends unknown
    ? Omit<Each, "nowMs">
    : never
  : never;
