import type { PeerId } from "../../platform/signer.ts";
import type { Estimate } from "./contract.ts";
import { Delegation, type DelegationOptions } from "./delegation.ts";
import type {
  CallChange,
  ContractChange,
  InitiatorInput,
  ParticipantInput,
  Sent,
} from "./effects.ts";
import { Initiator, type InitiatorCounters } from "./initiator.ts";
import type { InitiatorMessage, ParticipantMessage } from "./messages.ts";
import type { InitiatorOptions, ParticipantOptions } from "./options.ts";
import { Participant } from "./participant.ts";
import { readMessage } from "./read-message.ts";
import type { Reputation } from "./reputation.ts";
import type { BidWeights } from "./score.ts";
import type { Task, Terms } from "./task.ts";

/** What an agent of the contract net is made of. */
export interface ContractAgentParts {
  readonly self: PeerId;
  /** Larger than at any start before. */
  readonly epoch: number;
  readonly initiator: InitiatorOptions;
  readonly participant: ParticipantOptions;
  readonly delegation: DelegationOptions;
  readonly weights: BidWeights;
  readonly reputation: Reputation;
  /** Whether this agent has a skill now. */
  readonly hasSkill: (skill: string) => boolean;
  /** What it asks for a task that it can do; undefined when it does not want to. */
  readonly appraise: (task: Task) => Estimate | undefined;
  /** Whom tasks can be announced to: linked members, without this agent. */
  readonly neighbours: () => readonly PeerId[];
  /** Who may take part; others are refused. */
  readonly isMember: (peer: PeerId) => boolean;
}

/** What happens to the agent. `nowMs` is monotonic and never goes back. */
export type ContractInput =
  | { readonly nowMs: number; readonly kind: "tick" }
  /**
   * A task of this agent's own: announced to the candidates, of whom this agent may be one. Without any named, it is done
   * here if it can be, and one agent is enough; announced to the neighbours else.
   */
  | {
      readonly nowMs: number;
      readonly kind: "submit";
      readonly task: Task;
      readonly terms: Terms;
      readonly candidates?: readonly PeerId[] | undefined;
    }
  | { readonly nowMs: number; readonly kind: "cancel"; readonly call: string }
  /** Whatever a peer sent, taken out of its encoding. */
  | {
      readonly nowMs: number;
      readonly kind: "message";
      readonly from: PeerId;
      readonly value: unknown;
    }
  | { readonly nowMs: number; readonly kind: "gone"; readonly peer: PeerId }
  | Extract<ParticipantInput, { readonly kind: "progress" | "done" | "failed" }>;

/** What is wrong with a message. */
export type ContractOffence = "malformed-message" | "not-a-member";

/** What the agent wants done. */
export interface ContractEffects {
  /** Name of the call that a `submit` began; undefined for other inputs, and where there are too many calls. */
  readonly called: string | undefined;
  /** Of own calls. */
  readonly calls: readonly CallChange[];
  /** Of contracts that are worked on here. */
  readonly contracts: readonly ContractChange[];
  readonly send: readonly Sent[];
  readonly offences: readonly { readonly peer: PeerId; readonly kind: ContractOffence }[];
  readonly nextTickAtMs: number;
}

/** Numbers since the start, for metrics. */
export type ContractCounters = InitiatorCounters & Readonly<Record<ContractOffence, number>>;

interface Turn {
  readonly nowMs: number;
  readonly calls: CallChange[];
  readonly contracts: ContractChange[];
  readonly send: Sent[];
  readonly offences: { peer: PeerId; kind: ContractOffence }[];
  readonly toInitiator: InitiatorInput[];
  readonly toParticipant: ParticipantInput[];
}

/**
 * One agent of the contract net in all its parts: it calls, takes tasks of others, and passes on what it can not do. What it
 * has to say to itself does not leave it. Pure: inputs in, effects out; never throws for anything that a peer says.
 */
export class ContractAgent {
  readonly #parts: ContractAgentParts;
  readonly #initiator: Initiator;
  readonly #participant: Participant;
  readonly #delegation: Delegation;
  #turn: Turn = newTurn(0);
  #initiatorTickAtMs = Number.POSITIVE_INFINITY;
  #participantTickAtMs = Number.POSITIVE_INFINITY;
  readonly #offences: Record<ContractOffence, number> = {
    "malformed-message": 0,
    "not-a-member": 0,
  };

  constructor(parts: ContractAgentParts) {
    const { self, epoch, weights, reputation, hasSkill, appraise, neighbours } = parts;
    this.#parts = parts;
    this.#initiator = new Initiator({
      self,
      epoch,
      options: parts.initiator,
      weights,
      reputation,
    });
    this.#delegation = new Delegation({
      self,
      options: parts.delegation,
      neighbours,
      call: (input) => this.#initiate(input),
      answer: (input) => void this.#turn.toParticipant.push(input),
    });
    this.#participant = new Participant({
      self,
      options: parts.participant,
      hasSkill,
      appraise,
      passesOn: (route) => this.#delegation.passesOn(route),
    });
  }

  /** Own calls and those that pass tasks on; open bids and contracts; units of the capacity that are taken. */
  load(): { readonly calls: number; readonly contracts: number; readonly taken: number } {
    return {
      calls: this.#initiator.size,
      contracts: this.#participant.size,
      taken: this.#participant.taken,
    };
  }

  counters(): ContractCounters {
    return { ...this.#initiator.counters(), ...this.#offences };
  }

  /** Takes one input. @throws RangeError for what this agent itself asks that can not be: a task, terms, an output */
  step(input: ContractInput): ContractEffects {
    const turn = newTurn(input.nowMs);
    this.#turn = turn;
    let called: string | undefined;
    switch (input.kind) {
      case "tick":
        if (this.#initiatorTickAtMs <= turn.nowMs) turn.toInitiator.push(input);
        if (this.#participantTickAtMs <= turn.nowMs) turn.toParticipant.push(input);
        break;
      case "submit":
        called = this.#submit(turn, input.task, input.terms, input.candidates);
        break;
      case "cancel":
        turn.toInitiator.push(input);
        break;
      case "message":
        this.#take(turn, input.from, input.value);
        break;
      case "gone":
        turn.toInitiator.push(input);
        turn.toParticipant.push(input);
        break;
      case "progress":
      case "done":
      case "failed":
        turn.toParticipant.push(input);
        break;
    }
    this.#settle(turn);
    const nextTickAtMs = Math.min(this.#initiatorTickAtMs, this.#participantTickAtMs);
    const { calls, contracts, send, offences } = turn;
    return { called, calls, contracts, send, offences, nextTickAtMs };
  }

  #submit(
    turn: Turn,
    task: Task,
    terms: Terms,
    named: readonly PeerId[] | undefined,
  ): string | undefined {
    const { self, neighbours } = this.#parts;
    if (named !== undefined)
      return this.#initiate({ kind: "call", task, terms, candidates: named, nowMs: turn.nowMs });
    const isOwn = terms.agentsMin === 1 && this.#participant.canTake(task);
    const candidates = isOwn ? [self] : neighbours();
    const oneself = isOwn ? { ...terms, agentsMax: 1 } : terms;
    return this.#initiate({ kind: "call", task, terms: oneself, candidates, nowMs: turn.nowMs });
  }

  #take(turn: Turn, from: PeerId, value: unknown): void {
    const message = readMessage(value);
    if (from === this.#parts.self || !this.#parts.isMember(from))
      this.#offend(turn, from, "not-a-member");
    else if (message === undefined) this.#offend(turn, from, "malformed-message");
    else if (isToParticipant(message))
      turn.toParticipant.push({ kind: "message", from, message, nowMs: turn.nowMs });
    else turn.toInitiator.push({ kind: "message", from, message, nowMs: turn.nowMs });
  }

  #offend(turn: Turn, peer: PeerId, kind: ContractOffence): void {
    this.#offences[kind]++;
    turn.offences.push({ peer, kind });
  }

  /** Until nothing is left that one part has to say to another. */
  #settle(turn: Turn): void {
    for (;;) {
      const toInitiator = turn.toInitiator.shift();
      if (toInitiator !== undefined) {
        this.#initiate(toInitiator);
        continue;
      }
      const toParticipant = turn.toParticipant.shift();
      if (toParticipant === undefined) return;
      const { changes, send, nextTickAtMs } = this.#participant.step(toParticipant);
      this.#participantTickAtMs = nextTickAtMs;
      for (const change of changes)
        if (!this.#delegation.contractChanged(change, turn.nowMs) && change.kind !== "lapsed")
          turn.contracts.push(change);
      for (const sent of send) this.#sendToInitiator(turn, sent);
    }
  }

  /** @returns the name of the call that it began */
  #initiate(input: InitiatorInput): string | undefined {
    const turn = this.#turn;
    const { called, changes, send, nextTickAtMs } = this.#initiator.step(input);
    this.#initiatorTickAtMs = nextTickAtMs;
    for (const change of changes)
      if (!this.#delegation.callChanged(change, turn.nowMs)) turn.calls.push(change);
    for (const sent of send) this.#sendToParticipant(turn, sent);
    return called;
  }

  #sendToInitiator(turn: Turn, sent: Sent<ParticipantMessage>): void {
    const { self } = this.#parts;
    if (sent.to !== self) turn.send.push(sent);
    else
      turn.toInitiator.push({
        kind: "message",
        from: self,
        message: sent.message,
        nowMs: turn.nowMs,
      });
  }

  #sendToParticipant(turn: Turn, sent: Sent<InitiatorMessage>): void {
    const { self } = this.#parts;
    if (sent.to !== self) turn.send.push(sent);
    else
      turn.toParticipant.push({
        kind: "message",
        from: self,
        message: sent.message,
        nowMs: turn.nowMs,
      });
  }
}

function newTurn(nowMs: number): Turn {
  return {
    nowMs,
    calls: [],
    contracts: [],
    send: [],
    offences: [],
    toInitiator: [],
    toParticipant: [],
  };
}

const TO_PARTICIPANT: ReadonlySet<string> = new Set<InitiatorMessage["kind"]>([
  "announce",
  "award",
  "reject",
  "cancel",
  "settle",
]);

function isToParticipant(
  message: InitiatorMessage | ParticipantMessage,
): message is InitiatorMessage {
  return TO_PARTICIPANT.has(message.kind);
}
