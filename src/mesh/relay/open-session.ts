import type { PeerId } from "../../platform/signer.ts";
import type {
  RelayAnswer,
  RelayMark,
  RelayReceipt,
  RelayReport,
  RelayWelcome,
} from "../../wire/agent_mesh/v1/relay_pb.ts";
import { encodeBatch } from "./batch-codec.ts";
import type { GuestTurn } from "./guest-effects.ts";
import { HandedOver, refusedForGood, type Sending } from "./handed-over.ts";
import type { HostCandidate, WayTerms } from "./host-choice.ts";
import type { HostsAvoided } from "./hosts-avoided.ts";
import { type BatchBounds, nextBatch } from "./next-batch.ts";
import type { Questions } from "./questions.ts";
import { uplinkMarks } from "./relay-codec.ts";
import { refused, type SessionEnd, wayEnd } from "./session-end.ts";
import type { RelayHostStatus } from "./view.ts";

/** What a session works with. */
interface SessionParts {
  readonly terms: WayTerms;
  readonly questions: Questions;
  readonly avoided: HostsAvoided;
}

type AnswerBody = RelayAnswer["body"] | undefined;

const BATCH_BYTES = 262_144;
/** A host that wants to be asked again so soon is waited for; else another one is looked for. */
const HOLD_MAX_MS = 5_000;
/** After so long it is looked whether somebody is nearer to an uplink. */
const LOOK_AROUND_MS = 60_000;

/**
 * A session with one host, from its welcome on: hands updates over in order, and takes them for delivered when the host
 * says so, not when it has stored them. It is over when anything returns why. Pure.
 */
export class OpenSession {
  readonly #parts: SessionParts;
  readonly #id: number;
  readonly host: HostCandidate;
  readonly #bounds: Pick<BatchBounds, "batchBytesMax" | "updateBytesMax">;
  readonly #handedOver = new HandedOver();
  readonly #pending: Sending[] = [];
  #travelling: readonly Sending[] = [];
  #route: readonly PeerId[];
  #passedMax: number;
  #report = 0;
  #heldUntilMs = Number.NEGATIVE_INFINITY;

  constructor(parts: SessionParts, host: HostCandidate, welcome: RelayWelcome) {
    this.#parts = parts;
    this.#id = welcome.session;
    this.host = host;
    this.#bounds = {
      batchBytesMax: Math.min(BATCH_BYTES, Math.max(1_024, welcome.batchBytesMax)),
      updateBytesMax: welcome.updateBytesMax,
    };
    this.#route = welcome.route;
    this.#passedMax = welcome.passedMax;
  }

  /** Agents on the way, the host first. */
  get route(): readonly PeerId[] {
    return this.#route;
  }

  /** Agents that an update may have come through before this one sends it on, this one counted. */
  get passedMax(): number {
    return this.#passedMax;
  }

  status(): Omit<RelayHostStatus, "uplink"> {
    const route = this.#route;
    const stored = this.#handedOver.count;
    return {
      peerId: this.host.peer,
      agentId: this.host.agentId,
      hops: route.length,
      route,
      updates: stored + this.#pending.length + this.#travelling.length,
      stored,
    };
  }

  send(turn: GuestTurn, sendings: readonly Sending[]): SessionEnd | undefined {
    this.#pending.push(...sendings);
    return this.#pump(turn);
  }

  askMarks(turn: GuestTurn, streams: readonly string[]): void {
    const value = { session: this.#id, streams: [...streams] };
    this.#parts.questions.ask(turn, this.host.peer, { case: "marks", value });
  }

  /** Asks for the next tick, and goes on where the host wanted to be left alone until now. */
  tick(turn: GuestTurn): SessionEnd | undefined {
    const { nowMs, effects } = turn;
    const heldMs = this.#heldUntilMs - nowMs;
    effects.push({ kind: "wake", inMs: heldMs > 0 ? Math.max(1, heldMs) : LOOK_AROUND_MS });
    return this.#pump(turn);
  }

  /** @param kind of the question that it answers */
  answered(
    turn: GuestTurn,
    kind: "batch" | "poll" | "marks",
    body: AnswerBody,
  ): SessionEnd | undefined {
    if (body?.case === "refusal") return refused(body.value);
    if (kind === "marks") {
      const marks = body?.case === "marks" ? uplinkMarks(body.value.marks) : undefined;
      turn.effects.push({ kind: "marks", marks });
      return undefined;
    }
    if (kind === "batch" && body?.case === "receipt") return this.#receive(turn, body.value);
    if (kind === "poll" && body?.case === "report") return this.#hear(turn, body.value);
    const what = kind === "batch" ? "receipt" : "report";
    return { kind: "lost", why: `its ${what} can not be read` };
  }

  #pump(turn: GuestTurn): SessionEnd | undefined {
    const { terms, questions } = this.#parts;
    if (questions.isOpen("batch") || turn.nowMs < this.#heldUntilMs) return undefined;
    const passedMax = this.#passedMax;
    const bounds = { ...this.#bounds, passedMax };
    const { looked, batch, fields, unfit, tooFar } = nextBatch(this.#pending, terms.self, bounds);
    for (const settled of unfit) turn.effects.push({ kind: "settle", ...settled });
    if (tooFar) return { kind: "too-far", passedMax };
    this.#pending.splice(0, looked);
    if (batch.length === 0) return undefined;
    this.#travelling = batch;
    questions.ask(turn, this.host.peer, { case: "batch", value: encodeBatch(this.#id, fields) });
    return undefined;
  }

  #receive(
    turn: GuestTurn,
    { taken, unfit, marks, refusal }: RelayReceipt,
  ): SessionEnd | undefined {
    const { effects, nowMs } = turn;
    const reasons = new Map(unfit.map(({ index, reason }) => [index, reason]));
    const travelling = this.#travelling;
    this.#travelling = [];
    for (const [index, sending] of travelling.slice(0, taken).entries()) {
      const reason = reasons.get(index);
      if (reason === undefined) this.#handedOver.add(sending);
      else effects.push({ kind: "settle", sending, outcome: refusedForGood(reason) });
    }
    if (taken > 0) effects.push({ kind: "progress" });
    this.#settle(turn, marks);
    if (taken < travelling.length) this.#pending.unshift(...travelling.slice(taken));
    if (refusal !== undefined && refusal.retryAfterMs > HOLD_MAX_MS) return refused(refusal);
    if (taken > 0) this.#parts.avoided.forgive(this.host.peer);
    if (refusal !== undefined) {
      const holdMs = Math.max(1, refusal.retryAfterMs);
      this.#heldUntilMs = nowMs + holdMs;
      effects.push({ kind: "wake", inMs: holdMs });
    }
    const end = this.#pump(turn);
    if (end === undefined) this.#poll(turn);
    return end;
  }

  #poll(turn: GuestTurn): void {
    const { questions } = this.#parts;
    if (questions.isOpen("poll") || this.#handedOver.count === 0) return;
    const value = { session: this.#id, received: this.#report };
    questions.ask(turn, this.host.peer, { case: "poll", value });
  }

  #hear(turn: GuestTurn, report: RelayReport): SessionEnd | undefined {
    const { number, marks, route, passedMax, withdrawn } = report;
    this.#report = number;
    this.#settle(turn, marks);
    if (withdrawn !== undefined) return refused(withdrawn);
    const end = wayEnd(report, this.#parts.terms);
    if (end !== undefined) return end;
    this.#route = route;
    this.#passedMax = passedMax;
    turn.effects.push({ kind: "progress" });
    this.#poll(turn);
    return undefined;
  }

  #settle({ effects }: GuestTurn, marks: readonly RelayMark[]): void {
    for (const mark of marks)
      for (const settled of this.#handedOver.take(mark))
        effects.push({ kind: "settle", ...settled });
  }
}
