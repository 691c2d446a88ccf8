import type { PeerId } from "../../platform/signer.ts";
import type { RelayAnswer } from "../../wire/agent_mesh/v1/relay_pb.ts";
import type { GuestEffect, GuestInput, GuestTurn } from "./guest-effects.ts";
import { chooseHost, type HostCandidate } from "./host-choice.ts";
import { HostsAvoided } from "./hosts-avoided.ts";
import { OpenSession } from "./open-session.ts";
import { Questions } from "./questions.ts";
import { decodeAnswer } from "./relay-codec.ts";
import { refused, type SessionEnd, wayEnd } from "./session-end.ts";
import type { RelayHostStatus } from "./view.ts";

/** How a guest goes about it. */
export interface GuestSettings {
  readonly self: PeerId;
  readonly agentId: string;
  /** Ids of the agents that may relay; empty: all. */
  readonly via: readonly string[];
  readonly hopsMax: number;
}

const HOSTS_MAX = 256;
/** There may be somebody else; whoever said no is not asked again so soon. */
const AT_ONCE_MS = 50;

/**
 * The guest's side of relaying: chooses a host, asks it to relay, and lets go of it when their session is over or
 * somebody is nearer. What goes on in between is an {@link OpenSession}. Input in, effects out. Pure.
 */
export class GuestSession {
  readonly #settings: GuestSettings;
  readonly #avoided = new HostsAvoided();
  readonly #questions = new Questions();
  #wanted = false;
  /** It has not answered yet. */
  #asked: HostCandidate | undefined;
  #session: OpenSession | undefined;
  #last: PeerId | undefined;
  /** Hosts that did not allow as many agents on the way as an update had come through, and how many they did. */
  readonly #tooFar = new Map<PeerId, number>();

  constructor(settings: GuestSettings) {
    this.#settings = settings;
  }

  /** Who relays now. */
  status(): Omit<RelayHostStatus, "uplink"> | undefined {
    return this.#session?.status();
  }

  /** Agents that an update may have come through before this one sends it on, this one counted; 0 while it is down. */
  get passedMax(): number {
    const { host, passedMax } = this.#session ?? { passedMax: 0 };
    const tooFew = this.#tooFar.get(host?.peer ?? "") ?? 0;
    return passedMax > tooFew ? passedMax : Math.min(1, passedMax);
  }

  step(input: GuestInput): readonly GuestEffect[] {
    const turn: GuestTurn = { nowMs: input.nowMs, effects: [] };
    switch (input.kind) {
      case "connect":
        this.#wanted = true;
        this.#connect(turn, input.candidates);
        break;
      case "disconnect":
        this.#wanted = false;
        this.#reset();
        break;
      case "send":
        this.#goOn(turn, this.#session?.send(turn, input.sendings));
        break;
      case "ask-marks":
        this.#session?.askMarks(turn, input.streams);
        break;
      case "answered":
        this.#answered(turn, input.attempt, input.bytes);
        break;
      case "failed":
        if (this.#questions.close(input.attempt) !== undefined) this.#lost(turn, input.reason);
        break;
      case "link-down":
        if (this.#host?.peer === input.peer) this.#lost(turn, "the link to it is gone");
        break;
      case "seen":
        this.#seen(turn, input.candidate, input.anew);
        break;
      case "tick":
        this.#tick(turn, input.candidates);
        break;
    }
    return turn.effects;
  }

  get #host(): HostCandidate | undefined {
    return this.#session?.host ?? this.#asked;
  }

  #connect(turn: GuestTurn, candidates: Iterable<HostCandidate>): void {
    this.#reset();
    const host = this.#choose(turn.nowMs, candidates);
    if (host === undefined) {
      const { reason, retryAfterMs } = this.#avoided.explain(turn.nowMs);
      this.#down(turn, reason ?? "no agent of the mesh relays now", retryAfterMs);
      return;
    }
    this.#asked = host;
    const { agentId } = this.#settings;
    this.#questions.ask(turn, host.peer, { case: "hello", value: { agentId } });
  }

  #choose(nowMs: number, candidates: Iterable<HostCandidate>): HostCandidate | undefined {
    return chooseHost(candidates, {
      ...this.#settings,
      last: this.#last,
      avoided: this.#avoided.peers(nowMs),
    });
  }

  #answered(turn: GuestTurn, attempt: number, bytes: Uint8Array): void {
    const kind = this.#questions.close(attempt);
    if (kind === undefined) return;
    const body = decodeAnswer(bytes);
    if (kind === "hello") this.#welcomed(turn, body);
    else this.#goOn(turn, this.#session?.answered(turn, kind, body));
  }

  #welcomed(turn: GuestTurn, body: RelayAnswer["body"] | undefined): void {
    const host = this.#asked;
    if (host === undefined) return;
    if (body?.case === "refusal") this.#goOn(turn, refused(body.value));
    else if (body?.case !== "welcome") this.#lost(turn, "its answer can not be read");
    else {
      const end = wayEnd(body.value, this.#settings);
      const parts = {
        terms: this.#settings,
        questions: this.#questions,
        avoided: this.#avoided,
      };
      if (end === undefined) this.#begin(turn, new OpenSession(parts, host, body.value));
      else this.#goOn(turn, end);
    }
  }

  #begin(turn: GuestTurn, session: OpenSession): void {
    const { host } = session;
    this.#session = session;
    this.#asked = undefined;
    if (this.#last !== host.peer) turn.effects.push({ kind: "chosen", host });
    this.#last = host.peer;
    this.#goOn(turn, session.tick(turn));
    turn.effects.push({ kind: "up" });
  }

  #seen({ nowMs, effects }: GuestTurn, candidate: HostCandidate, anew: boolean): void {
    if (anew) this.#avoided.forgive(candidate.peer);
    // One that was lost and is linked again is worth another try.
    else if (candidate.linked) this.#avoided.relinked(candidate.peer);
    if (!this.#wanted || this.#host !== undefined) return;
    if (this.#choose(nowMs, [candidate]) !== undefined) effects.push({ kind: "retry" });
  }

  #tick(turn: GuestTurn, candidates: Iterable<HostCandidate>): void {
    const session = this.#session;
    if (session === undefined) return;
    const nearest = this.#choose(turn.nowMs, candidates);
    if (nearest?.linked === true && nearest.route.length + 1 < session.route.length)
      this.#down(turn, `${nearest.agentId} is nearer to an uplink`, AT_ONCE_MS);
    else this.#goOn(turn, session.tick(turn));
  }

  /** Goes on as before, unless the session is over. */
  #goOn(turn: GuestTurn, end: SessionEnd | undefined): void {
    const host = this.#host;
    if (end === undefined || host === undefined) return;
    switch (end.kind) {
      case "refused": {
        const reason = `${host.agentId}: ${end.detail}`;
        const { retryAfterMs } = end;
        if (retryAfterMs > 0) this.#avoided.refused(host.peer, reason, turn.nowMs, retryAfterMs);
        this.#down(turn, reason, AT_ONCE_MS);
        break;
      }
      case "lost":
        this.#lost(turn, end.why);
        break;
      case "too-far":
        this.#leaveGuestsBehind(turn, host, end.passedMax);
        break;
    }
  }

  /** An update of another agent has come so far that this host would refuse it. The own ones must not wait for it. */
  #leaveGuestsBehind(turn: GuestTurn, host: HostCandidate, passedMax: number): void {
    if (this.#tooFar.size >= HOSTS_MAX) this.#tooFar.clear();
    this.#tooFar.set(host.peer, passedMax);
    const said = `an update came through more agents than the ${passedMax} that it allows`;
    this.#down(turn, `${host.agentId}: ${said}`, AT_ONCE_MS);
  }

  #lost(turn: GuestTurn, why: string): void {
    const host = this.#host;
    if (host === undefined) return;
    const reason = `${host.agentId}: ${why}`;
    this.#avoided.lost(host.peer, reason, turn.nowMs);
    this.#down(turn, reason, AT_ONCE_MS);
  }

  #down({ effects }: GuestTurn, reason: string, retryAfterMs: number | undefined): void {
    this.#reset();
    effects.push({ kind: "down", reason, ...(retryAfterMs !== undefined && { retryAfterMs }) });
  }

  #reset(): void {
    this.#asked = undefined;
    this.#session = undefined;
    this.#questions.clear();
  }
}
