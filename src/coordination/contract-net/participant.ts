import type { PeerId } from "../../platform/signer.ts";
import { type Contract, dueAtMs, type Estimate, keyOf } from "./contract.ts";
import { ContractTable } from "./contract-table.ts";
import type {
  ContractChange,
  ParticipantEffects,
  ParticipantInput,
  Sent,
  StopReason,
} from "./effects.ts";
import type { Announce, InitiatorMessage, ParticipantMessage, RefuseReason } from "./messages.ts";
import type { ParticipantOptions } from "./options.ts";
import { CONTENT_LENGTH_MAX, type Route, type Task } from "./task.ts";

/** What a participant is made of. */
export interface ParticipantParts {
  readonly self: PeerId;
  readonly options: ParticipantOptions;
  /** Whether this agent has a skill now. */
  readonly hasSkill: (skill: string) => boolean;
  /** What this agent asks for a task that it can do; undefined when it does not want to. Synchronous. */
  readonly appraise: (task: Task) => Estimate | undefined;
  /** Whether a task that came this way may be passed on, when it can not be done here. */
  readonly passesOn: (route: Route) => boolean;
}

interface Turn {
  readonly nowMs: number;
  readonly changes: ContractChange[];
  readonly send: Sent<ParticipantMessage>[];
}

/**
 * Takes tasks of others: bids, keeps room for what it bid for, works on what it is awarded, and tells the end until that is
 * settled. It never promises more than its capacity. Pure: inputs in, effects out; the caller sends the messages, does the
 * work, and brings a `tick` when `nextTickAtMs` has come. Never throws for anything that a peer says.
 */
export class Participant {
  readonly #parts: ParticipantParts;
  readonly #table: ContractTable;

  constructor(parts: ParticipantParts) {
    this.#parts = parts;
    this.#table = new ContractTable(parts.options);
  }

  /** Bids and contracts that are open. */
  get size(): number {
    return this.#table.size;
  }

  /** Units of the capacity that they take. */
  get taken(): number {
    return this.#table.taken;
  }

  /** Whether it has the skills and the room, and wants to. */
  canTake(task: Task): boolean {
    return (
      this.#isAble(task) &&
      this.#table.fits(task.demand) &&
      this.#parts.appraise(task) !== undefined
    );
  }

  /**
   * Takes one input. What is said of a contract that is not at work any more is ignored.
   * @throws RangeError for a `done` with an output that is too long; the contract is at work still
   */
  step(input: ParticipantInput): ParticipantEffects {
    const turn: Turn = { nowMs: input.nowMs, changes: [], send: [] };
    switch (input.kind) {
      case "tick":
        this.#tick(turn);
        break;
      case "message":
        this.#take(turn, input.from, input.message);
        break;
      case "gone":
        for (const contract of this.#table.all())
          if (contract.initiator === input.peer) this.#stop(turn, contract, "gone");
        break;
      case "offer":
      case "decline":
      case "progress":
      case "done":
      case "failed":
        this.#own(turn, input);
        break;
    }
    let nextTickAtMs = Number.POSITIVE_INFINITY;
    for (const contract of this.#table.all())
      nextTickAtMs = Math.min(nextTickAtMs, dueAtMs(contract));
    return { changes: turn.changes, send: turn.send, nextTickAtMs };
  }

  #isAble({ needs, demand }: Task): boolean {
    return demand <= this.#parts.options.capacity && needs.every(this.#parts.hasSkill);
  }

  #take(turn: Turn, from: PeerId, message: InitiatorMessage): void {
    const key = keyOf(from, message.call);
    const contract = this.#table.get(key);
    switch (message.kind) {
      case "announce":
        if (contract === undefined) this.#announced(turn, from, message);
        else this.#repeat(turn, contract);
        break;
      case "award":
        if (contract === undefined) this.#awardedLate(turn, from, message.call);
        else if (contract.state === "bid") this.#begin(turn, contract);
        else this.#repeat(turn, contract);
        break;
      case "reject":
        if (contract?.state === "bid" || contract?.state === "asked")
          this.#lapse(turn, contract, false);
        break;
      case "cancel":
        if (contract !== undefined) this.#stop(turn, contract, "cancelled");
        break;
      case "settle":
        if (contract?.state === "ending") this.#table.close(contract, false);
        break;
    }
  }

  #announced(turn: Turn, from: PeerId, message: Announce): void {
    const { call, task, route } = message;
    const key = keyOf(from, call);
    const reason = this.#objection(from, key, message);
    if (reason !== undefined) {
      turn.send.push({ to: from, message: { kind: "refuse", call, reason } });
      return;
    }
    const isAble = this.#isAble(task);
    const estimate = isAble ? this.#parts.appraise(task) : undefined;
    if (isAble && estimate === undefined) {
      turn.send.push({ to: from, message: { kind: "refuse", call, reason: "unwilling" } });
      return;
    }
    const { nowMs } = turn;
    const expiresAtMs = nowMs + message.expiresInMs;
    const bidByMs = Math.min(nowMs + message.bidWithinMs, expiresAtMs);
    const contract: Contract = {
      key,
      initiator: from,
      call,
      task,
      root: route.root,
      demand: isAble ? task.demand : 0,
      expiresAtMs,
      bidByMs,
      holdUntilMs: Math.min(bidByMs + message.holdMs, expiresAtMs),
      state: isAble ? "bid" : "asked",
      estimate,
      percent: 0,
      resendAtMs: Number.POSITIVE_INFINITY,
      end: undefined,
      sends: 0,
    };
    this.#table.add(contract);
    if (isAble) this.#repeat(turn, contract);
    else {
      const { bidWithinMs, holdMs, expiresInMs } = message;
      const name = { initiator: from, call };
      turn.changes.push({ kind: "asked", ...name, task, route, bidWithinMs, holdMs, expiresInMs });
    }
  }

  /** Why this agent does not even think about it. */
  #objection(from: PeerId, key: string, { task, route }: Announce): RefuseReason | undefined {
    const { self, passesOn } = this.#parts;
    const isOwn = from === self && route.path.at(-1) === self;
    if (route.path.at(-1) !== from || (route.path.includes(self) && !isOwn)) return "loop";
    if (this.#table.isClosed(key) || this.#table.hasRoot(route.root)) return "known";
    if (!this.#table.hasRoomFor(from)) return "busy";
    if (!this.#isAble(task)) return passesOn(route) ? undefined : "not-able";
    return this.#table.fits(task.demand) ? undefined : "no-capacity";
  }

  /** Says again what was said last. */
  #repeat(turn: Turn, { initiator: to, call, state, estimate, end }: Contract): void {
    if (state === "bid" && estimate !== undefined)
      turn.send.push({ to, message: { kind: "bid", call, ...estimate } });
    if (state === "working") turn.send.push({ to, message: { kind: "accept", call } });
    if (state === "ending" && end !== undefined) turn.send.push({ to, message: end });
  }

  #begin(turn: Turn, contract: Contract): void {
    const { initiator, call, task } = contract;
    contract.state = "working";
    contract.resendAtMs = turn.nowMs + this.#parts.options.heartbeatMs;
    this.#repeat(turn, contract);
    turn.changes.push({ kind: "begin", initiator, call, task });
  }

  /** What lapsed is taken up again if there still is room. What has ended is not done twice. */
  #awardedLate(turn: Turn, to: PeerId, call: string): void {
    const key = keyOf(to, call);
    const lapsed = this.#table.lapsed(key);
    if (lapsed === undefined && this.#table.isClosed(key)) return;
    if (
      lapsed !== undefined &&
      turn.nowMs < lapsed.expiresAtMs &&
      this.#table.hasRoomFor(to) &&
      !this.#table.hasRoot(lapsed.root) &&
      this.#table.fits(lapsed.demand)
    ) {
      this.#table.add(lapsed);
      this.#begin(turn, lapsed);
      return;
    }
    const reason = lapsed === undefined ? "unknown" : "no-capacity";
    turn.send.push({ to, message: { kind: "failure", call, reason } });
  }

  #lapse(turn: Turn, contract: Contract, mayReturn: boolean): void {
    const { initiator, call, demand } = contract;
    this.#table.close(contract, mayReturn && demand > 0);
    turn.changes.push({ kind: "lapsed", initiator, call });
  }

  #stop(turn: Turn, contract: Contract, reason: StopReason): void {
    const { initiator, call, state } = contract;
    if (state === "asked" || state === "bid") this.#lapse(turn, contract, false);
    else {
      this.#table.close(contract, false);
      if (state === "working") turn.changes.push({ kind: "stop", initiator, call, reason });
    }
  }

  #tick(turn: Turn): void {
    for (const contract of this.#table.all()) {
      if (dueAtMs(contract) > turn.nowMs) continue;
      const { state, initiator: to, call, percent } = contract;
      if (state === "asked" || state === "bid") this.#lapse(turn, contract, state === "bid");
      else if (contract.expiresAtMs <= turn.nowMs) this.#stop(turn, contract, "expired");
      else if (state === "working") {
        contract.resendAtMs = turn.nowMs + this.#parts.options.heartbeatMs;
        turn.send.push({ to, message: { kind: "progress", call, percent } });
      } else this.#tellEnd(turn, contract);
    }
  }

  #own(turn: Turn, input: Extract<ParticipantInput, { initiator: PeerId }>): void {
    const { initiator: to, call } = input;
    const contract = this.#table.get(keyOf(to, call));
    if (contract === undefined) return;
    const { state } = contract;
    switch (input.kind) {
      case "offer":
        if (state !== "asked") return;
        contract.state = "bid";
        contract.estimate = { cost: input.cost, endsInMs: input.endsInMs };
        this.#repeat(turn, contract);
        break;
      case "decline":
        if (state !== "asked") return;
        this.#table.close(contract, false);
        turn.send.push({ to, message: { kind: "refuse", call, reason: "delegated" } });
        break;
      case "progress": {
        const percent = Math.min(100, Math.max(0, input.percent));
        if (state !== "working" || percent === contract.percent) return;
        contract.percent = percent;
        contract.resendAtMs = turn.nowMs + this.#parts.options.heartbeatMs;
        turn.send.push({ to, message: { kind: "progress", call, percent } });
        break;
      }
      case "done":
        if (input.output.length > CONTENT_LENGTH_MAX)
          throw new RangeError(`an output has at most ${CONTENT_LENGTH_MAX} characters`);
        this.#end(turn, contract, { kind: "result", call, output: input.output });
        break;
      case "failed":
        this.#end(turn, contract, { kind: "failure", call, reason: input.reason });
        break;
    }
  }

  #end(turn: Turn, contract: Contract, end: ParticipantMessage): void {
    const isWithdrawn = contract.state === "bid" && end.kind === "failure";
    if (contract.state !== "working" && !isWithdrawn) return;
    contract.state = "ending";
    contract.end = end;
    this.#table.release(contract);
    this.#tellEnd(turn, contract);
  }

  #tellEnd(turn: Turn, contract: Contract): void {
    const { resendMs, sendsMax } = this.#parts.options;
    if (contract.sends >= sendsMax) {
      this.#table.close(contract, false);
      return;
    }
    contract.resendAtMs = turn.nowMs + resendMs * 2 ** contract.sends;
    contract.sends++;
    this.#repeat(turn, contract);
  }
}
