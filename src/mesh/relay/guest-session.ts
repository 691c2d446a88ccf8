import type { PeerId } from "../../platform/signer.ts";
import type { Marks, StreamMarks } from "../../platform/uplink-connection.ts";
import type {
  RelayAnswer,
  RelayMark,
  RelayReceipt,
  RelayRefusal,
  RelayReport,
  RelayWelcome,
} from "../../wire/agent_mesh/v1/relay_pb.ts";
import { bytesInBatch, encodeBatch, unfitness } from "./batch-codec.ts";
import { HandedOver, refusedForGood, type Sending, type Settled } from "./handed-over.ts";
import { chooseHost, type HostCandidate } from "./host-choice.ts";
import { HostsAvoided } from "./hosts-avoided.ts";
import { decodeAnswer, encodeRequest } from "./relay-codec.ts";
import type { UpdateFields } from "./relayed-update.ts";
import type { RelayHostStatus } from "./view.ts";

/** What happens to a guest. `nowMs` is monotonic. */
export type GuestInput = { readonly nowMs: number } & (
  | { readonly kind: "connect"; readonly candidates: Iterable<HostCandidate> }
  | { readonly kind: "disconnect" }
  /** Updates that are to be handed over, in order. */
  | { readonly kind: "send"; readonly sendings: readonly Sending[] }
  | { readonly kind: "ask-marks"; readonly streams: readonly string[] }
  | { readonly kind: "answered"; readonly attempt: number; readonly bytes: Uint8Array }
  | { readonly kind: "failed"; readonly attempt: number; readonly reason: string }
  | { readonly kind: "link-down"; readonly peer: PeerId }
  /** An agent that relays is linked now, or says `anew` that it does. */
  | { readonly kind: "seen"; readonly candidate: HostCandidate; readonly anew: boolean }
  | { readonly kind: "tick"; readonly candidates: Iterable<HostCandidate> }
);

/** What is to be done, in this order. */
export type GuestEffect =
  /** The answer, or that there is none, is an input with the same `attempt`. */
  | {
      readonly kind: "ask";
      readonly to: PeerId;
      readonly bytes: Uint8Array;
      readonly attempt: number;
      readonly timeoutMs: number;
    }
  | ({ readonly kind: "settle" } & Settled)
  | { readonly kind: "marks"; readonly marks: Marks | undefined }
  | { readonly kind: "chosen"; readonly host: HostCandidate }
  | { readonly kind: "up" }
  | { readonly kind: "down"; readonly reason: string; readonly retryAfterMs?: number }
  /** The host is at it. */
  | { readonly kind: "progress" }
  /** Connecting again is of use at once. */
  | { readonly kind: "retry" }
  /** A `tick` is due then, in place of the one asked for before. */
  | { readonly kind: "wake"; readonly inMs: number };

/** How a guest goes about it. */
export interface GuestSettings {
  readonly self: PeerId;
  readonly agentId: string;
  /** Ids of the agents that may relay; empty: all. */
  readonly via: readonly string[];
  readonly hopsMax: number;
}

interface Session {
  readonly id: number;
  readonly host: HostCandidate;
  readonly batchBytesMax: number;
  readonly updateBytesMax: number;
  route: readonly PeerId[];
  passedMax: number;
  report: number;
}

/** A batch is handed over when the one before has been answered: large ones make up for the way. */
const BATCH_UPDATES = 512;
const BATCH_BYTES = 262_144;
/** A host that wants to be asked again so soon is waited for; else another one is looked for. */
const HOLD_MAX_MS = 5_000;
const TALK_TIMEOUT_MS = 10_000;
const BATCH_TIMEOUT_MS = 30_000;
/** Longer than a host takes to answer when there is nothing to tell. */
const POLL_TIMEOUT_MS = 25_000;
const LOOK_AROUND_MS = 60_000;
const HOSTS_MAX = 256;
/** There may be somebody else; whoever said no is not asked again so soon. */
const AT_ONCE_MS = 50;

/**
 * The guest's side of relaying: chooses a host, hands updates over in order, and takes them for delivered when the host
 * says so, not when it has stored them. Input in, effects out.
 */
export class GuestSession {
  readonly #settings: GuestSettings;
  readonly #avoided = new HostsAvoided();
  readonly #handedOver = new HandedOver();
  #effects: GuestEffect[] = [];
  #phase: "down" | "asking" | "up" = "down";
  #wanted = false;
  #asked: HostCandidate | undefined;
  #session: Session | undefined;
  #last: PeerId | undefined;
  /** Hosts that did not allow as many agents on the way as an update had come through, and how many they did. */
  readonly #tooFar = new Map<PeerId, number>();
  #pending: Sending[] = [];
  #travelling: readonly Sending[] = [];
  #polling: number | undefined;
  #marking: number | undefined;
  #batching: number | undefined;
  #attempt = 0;
  #heldUntilMs = Number.NEGATIVE_INFINITY;

  constructor(settings: GuestSettings) {
    this.#settings = settings;
  }

  /** Who relays now. */
  status(): Omit<RelayHostStatus, "uplink"> | undefined {
    const session = this.#session;
    if (session === undefined) return undefined;
    const { host, route } = session;
    const stored = this.#handedOver.count;
    return {
      peerId: host.peer,
      agentId: host.agentId,
      hops: route.length,
      route,
      updates: stored + this.#pending.length + this.#travelling.length,
      stored,
    };
  }

  /** Agents that an update may have come through before this one sends it on, this one counted; 0 while it is down. */
  get passedMax(): number {
    const { host, passedMax } = this.#session ?? { passedMax: 0 };
    const tooFew = this.#tooFar.get(host?.peer ?? "") ?? 0;
    return passedMax > tooFew ? passedMax : Math.min(1, passedMax);
  }

  step(input: GuestInput): readonly GuestEffect[] {
    this.#effects = [];
    switch (input.kind) {
      case "connect":
        this.#wanted = true;
        this.#connect(input.nowMs, input.candidates);
        break;
      case "disconnect":
        this.#wanted = false;
        this.#reset();
        break;
      case "send":
        this.#pending.push(...input.sendings);
        this.#pump(input.nowMs);
        break;
      case "ask-marks":
        this.#askMarks(input.streams);
        break;
      case "answered":
        this.#answered(input.nowMs, input.attempt, input.bytes);
        break;
      case "failed":
        this.#failed(input.nowMs, input.attempt, input.reason);
        break;
      case "link-down":
        if (this.#hostPeer === input.peer) this.#lost(input.nowMs, "the link to it is gone");
        break;
      case "seen":
        this.#seen(input.nowMs, input.candidate, input.anew);
        break;
      case "tick":
        this.#tick(input.nowMs, input.candidates);
        break;
    }
    return this.#effects;
  }

  get #hostPeer(): PeerId | undefined {
    return this.#session?.host.peer ?? this.#asked?.peer;
  }

  #connect(nowMs: number, candidates: Iterable<HostCandidate>): void {
    this.#reset();
    const host = this.#choose(nowMs, candidates);
    if (host === undefined) {
      const { reason, retryAfterMs } = this.#avoided.explain(nowMs);
      this.#down(reason ?? "no agent of the mesh relays now", retryAfterMs);
      return;
    }
    this.#phase = "asking";
    this.#asked = host;
    const { agentId } = this.#settings;
    this.#ask(host.peer, encodeRequest({ case: "hello", value: { agentId } }), TALK_TIMEOUT_MS);
  }

  #choose(nowMs: number, candidates: Iterable<HostCandidate>): HostCandidate | undefined {
    return chooseHost(candidates, {
      ...this.#settings,
      last: this.#last,
      avoided: this.#avoided.peers(nowMs),
    });
  }

  #answered(nowMs: number, attempt: number, bytes: Uint8Array): void {
    const body = decodeAnswer(bytes);
    if (this.#phase === "asking" && attempt === this.#attempt) this.#welcomed(nowMs, body);
    else if (attempt === this.#batching) this.#receipt(nowMs, body);
    else if (attempt === this.#polling) this.#reported(nowMs, body);
    else if (attempt === this.#marking) this.#marked(nowMs, body);
  }

  #failed(nowMs: number, attempt: number, reason: string): void {
    const current =
      (this.#phase === "asking" && attempt === this.#attempt) ||
      [this.#batching, this.#polling, this.#marking].includes(attempt);
    if (current) this.#lost(nowMs, reason);
  }

  #welcomed(nowMs: number, body: RelayAnswer["body"] | undefined): void {
    const host = this.#asked;
    if (host === undefined) return;
    if (body?.case === "refusal") this.#refusedBy(nowMs, body.value);
    else if (body?.case !== "welcome") this.#lost(nowMs, "its answer can not be read");
    else this.#begin(nowMs, host, body.value);
  }

  #begin(nowMs: number, host: HostCandidate, welcome: RelayWelcome): void {
    const { session: id, route, passedMax, batchBytesMax, updateBytesMax } = welcome;
    const fault = this.#routeFault(route, passedMax);
    if (fault !== undefined) {
      this.#refusedBy(nowMs, { detail: fault, retryAfterMs: LOOK_AROUND_MS });
      return;
    }
    this.#session = {
      id,
      host,
      batchBytesMax: Math.min(BATCH_BYTES, Math.max(1_024, batchBytesMax)),
      updateBytesMax,
      route,
      passedMax,
      report: 0,
    };
    this.#asked = undefined;
    this.#phase = "up";
    if (this.#last !== host.peer) this.#effects.push({ kind: "chosen", host });
    this.#last = host.peer;
    this.#wake(LOOK_AROUND_MS);
    this.#effects.push({ kind: "up" });
  }

  /** @returns why no update can go that way */
  #routeFault(route: readonly PeerId[], passedMax: number): string | undefined {
    const { self, hopsMax } = this.#settings;
    if (route.includes(self)) return "its way leads through this agent";
    if (route.length > hopsMax || passedMax < 1)
      return `its way has ${route.length} agents; relay.hopsMax is ${hopsMax}`;
    return undefined;
  }

  #pump(nowMs: number): void {
    const session = this.#session;
    if (session === undefined || this.#batching !== undefined || nowMs < this.#heldUntilMs) return;
    const batch: Sending[] = [];
    const fields: UpdateFields[] = [];
    let bytes = 0;
    let looked = 0;
    for (const sending of this.#pending) {
      const { update } = sending;
      const path = [...(update.path ?? []), this.#settings.self];
      if (path.length > session.passedMax) {
        if (batch.length > 0) break;
        this.#leaveGuestsBehind(session);
        return;
      }
      const size = bytesInBatch(update);
      if (batch.length > 0 && bytes + size > session.batchBytesMax) break;
      if (batch.length === BATCH_UPDATES) break;
      looked++;
      const reason = unfitness(update, session.updateBytesMax);
      if (reason !== undefined) {
        this.#effects.push({ kind: "settle", sending, outcome: refusedForGood(reason) });
        continue;
      }
      batch.push(sending);
      fields.push(fieldsOf(sending, path));
      bytes += size;
    }
    this.#pending.splice(0, looked);
    if (batch.length === 0) return;
    this.#travelling = batch;
    const value = encodeBatch(session.id, fields);
    const { peer } = session.host;
    this.#batching = this.#ask(peer, encodeRequest({ case: "batch", value }), BATCH_TIMEOUT_MS);
  }

  #receipt(nowMs: number, body: RelayAnswer["body"] | undefined): void {
    this.#batching = undefined;
    if (body?.case === "refusal") this.#refusedBy(nowMs, body.value);
    else if (body?.case !== "receipt") this.#lost(nowMs, "its receipt can not be read");
    else this.#receive(nowMs, body.value);
  }

  #receive(nowMs: number, { taken, unfit, marks, refusal }: RelayReceipt): void {
    const reasons = new Map(unfit.map(({ index, reason }) => [index, reason]));
    const travelling = this.#travelling;
    this.#travelling = [];
    for (const [index, sending] of travelling.slice(0, taken).entries()) {
      const reason = reasons.get(index);
      if (reason === undefined) this.#handedOver.add(sending);
      else this.#effects.push({ kind: "settle", sending, outcome: refusedForGood(reason) });
    }
    if (taken > 0) this.#effects.push({ kind: "progress" });
    this.#settle(marks);
    if (taken < travelling.length) this.#pending.unshift(...travelling.slice(taken));
    if (refusal !== undefined && refusal.retryAfterMs > HOLD_MAX_MS) {
      this.#refusedBy(nowMs, refusal);
      return;
    }
    if (taken > 0) this.#avoided.forgive(this.#hostPeer);
    if (refusal !== undefined) {
      const holdMs = Math.max(1, refusal.retryAfterMs);
      this.#heldUntilMs = nowMs + holdMs;
      this.#wake(holdMs);
    }
    this.#pump(nowMs);
    this.#poll();
  }

  #poll(): void {
    const session = this.#session;
    if (session === undefined || this.#polling !== undefined || this.#handedOver.count === 0)
      return;
    const value = { session: session.id, received: session.report };
    const request = encodeRequest({ case: "poll", value });
    this.#polling = this.#ask(session.host.peer, request, POLL_TIMEOUT_MS);
  }

  #reported(nowMs: number, body: RelayAnswer["body"] | undefined): void {
    this.#polling = undefined;
    if (body?.case === "refusal") this.#refusedBy(nowMs, body.value);
    else if (body?.case !== "report") this.#lost(nowMs, "its report can not be read");
    else this.#hear(nowMs, body.value);
  }

  #hear(nowMs: number, { number, marks, route, passedMax, withdrawn }: RelayReport): void {
    const session = this.#session;
    if (session === undefined) return;
    session.report = number;
    this.#settle(marks);
    if (withdrawn !== undefined) {
      this.#refusedBy(nowMs, withdrawn);
      return;
    }
    const fault = this.#routeFault(route, passedMax);
    if (fault !== undefined) {
      this.#refusedBy(nowMs, { detail: fault, retryAfterMs: LOOK_AROUND_MS });
      return;
    }
    session.route = route;
    session.passedMax = passedMax;
    this.#effects.push({ kind: "progress" });
    this.#poll();
  }

  #settle(marks: readonly RelayMark[]): void {
    for (const mark of marks)
      for (const settled of this.#handedOver.take(mark))
        this.#effects.push({ kind: "settle", ...settled });
  }

  #askMarks(streams: readonly string[]): void {
    const session = this.#session;
    if (session === undefined) return;
    const value = { session: session.id, streams: [...streams] };
    const request = encodeRequest({ case: "marks", value });
    this.#marking = this.#ask(session.host.peer, request, TALK_TIMEOUT_MS);
  }

  #marked(nowMs: number, body: RelayAnswer["body"] | undefined): void {
    this.#marking = undefined;
    if (body?.case === "refusal") {
      this.#refusedBy(nowMs, body.value);
      return;
    }
    const marks = body?.case === "marks" ? new Map(body.value.marks.map(marksOf)) : undefined;
    this.#effects.push({ kind: "marks", marks });
  }

  #seen(nowMs: number, candidate: HostCandidate, anew: boolean): void {
    if (anew) this.#avoided.forgive(candidate.peer);
    // One that was lost and is linked again is worth another try.
    else if (candidate.linked) this.#avoided.relinked(candidate.peer);
    if (!this.#wanted || this.#phase !== "down") return;
    if (this.#choose(nowMs, [candidate]) !== undefined) this.#effects.push({ kind: "retry" });
  }

  #tick(nowMs: number, candidates: Iterable<HostCandidate>): void {
    const session = this.#session;
    if (session === undefined) return;
    const nearest = this.#choose(nowMs, candidates);
    if (nearest?.linked === true && nearest.route.length + 1 < session.route.length) {
      this.#down(`${nearest.agentId} is nearer to an uplink`, AT_ONCE_MS);
      return;
    }
    this.#wake(nowMs < this.#heldUntilMs ? Math.max(1, this.#heldUntilMs - nowMs) : LOOK_AROUND_MS);
    this.#pump(nowMs);
  }

  /** An update of another agent has come so far that this host would refuse it. The own ones must not wait for it. */
  #leaveGuestsBehind({ host, passedMax }: Session): void {
    if (this.#tooFar.size >= HOSTS_MAX) this.#tooFar.clear();
    this.#tooFar.set(host.peer, passedMax);
    const said = `an update came through more agents than the ${passedMax} that it allows`;
    this.#down(`${host.agentId}: ${said}`, AT_ONCE_MS);
  }

  #refusedBy(
    nowMs: number,
    { detail, retryAfterMs }: Pick<RelayRefusal, "detail" | "retryAfterMs">,
  ): void {
    const host = this.#session?.host ?? this.#asked;
    if (host === undefined) return;
    const reason = `${host.agentId}: ${detail}`;
    if (retryAfterMs > 0) this.#avoided.refused(host.peer, reason, nowMs, retryAfterMs);
    this.#down(reason, AT_ONCE_MS);
  }

  #lost(nowMs: number, why: string): void {
    const host = this.#session?.host ?? this.#asked;
    if (host === undefined) return;
    const reason = `${host.agentId}: ${why}`;
    this.#avoided.lost(host.peer, reason, nowMs);
    this.#down(reason, AT_ONCE_MS);
  }

  #down(reason: string, retryAfterMs: number | undefined): void {
    this.#reset();
    this.#effects.push({
      kind: "down",
      reason,
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    });
  }

  #reset(): void {
    this.#phase = "down";
    this.#asked = undefined;
    this.#session = undefined;
    this.#pending = [];
    this.#travelling = [];
    this.#handedOver.clear();
    this.#polling = undefined;
    this.#marking = undefined;
    this.#batching = undefined;
    this.#heldUntilMs = Number.NEGATIVE_INFINITY;
  }

  #ask(to: PeerId, bytes: Uint8Array, timeoutMs: number): number {
    const attempt = ++this.#attempt;
    this.#effects.push({ kind: "ask", to, bytes, attempt, timeoutMs });
    return attempt;
  }

  #wake(inMs: number): void {
    this.#effects.push({ kind: "wake", inMs });
  }
}

function fieldsOf({ update }: Sending, path: readonly PeerId[]): UpdateFields {
  const { agentId, stream, sequence, payload, contentType, key } = update;
  const { observedAtMs, observedAtTrusted } = update;
  return {
    agentId,
    stream,
    sequence,
    payload,
    contentType,
    observedAtMs,
    observedAtTrusted,
    key,
    path,
  };
}

/** @returns a mark as uplinks know it: those that were refused are no part of it */
function marksOf({ stream, settled, observedAtMs, dead }: RelayMark): [string, StreamMarks] {
  const through = Number(settled);
  const holes = dead.map(({ sequence }) => Number(sequence)).toSorted((a, b) => a - b);
  const ranges: [number, number][] = [];
  let from = 1;
  for (const hole of [...holes, through + 1]) {
    if (hole > from) ranges.push([from, hole - 1]);
    from = hole + 1;
  }
  const [first] = ranges;
  const fromStart = first?.[0] === 1 ? first[1] : 0;
  const lastObservedAtMs = Number(observedAtMs);
  return [
    stream,
    {
      through: fromStart,
      ranges: fromStart > 0 ? ranges.slice(1) : ranges,
      ...(lastObservedAtMs > 0 && { lastObservedAtMs }),
    },
  ];
}
