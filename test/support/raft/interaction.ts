import type { ChangeTransition } from "../../../src/consensus/raft/change.ts";
import { isVoter } from "../../../src/consensus/raft/configuration.ts";
import { NO_DATA } from "../../../src/consensus/raft/entry.ts";
import { defaultRaftOptions, type RaftOptions } from "../../../src/consensus/raft/options.ts";
import type { Refusal } from "../../../src/consensus/raft/refusals.ts";
import { stepsFrom } from "./change-text.ts";
import {
  appendText,
  applyText,
  type Envelope,
  entryText,
  envelopeText,
  memberText,
  readyText,
  roleText,
} from "./describe.ts";
import { comparable, Printer } from "./printer.ts";
import { bareIds, type Directive, valuesOf } from "./script.ts";
import { ScriptNode } from "./script-node.ts";

const unlimited: Omit<RaftOptions, "id"> = {
  ...defaultRaftOptions,
  electionTicks: 3,
  heartbeatTicks: 1,
  preVote: false,
  checkQuorum: false,
  stepDownOnRemoval: false,
  inflightMessagesMax: 2 ** 31 - 1,
  messageBytesMax: Number.POSITIVE_INFINITY,
  applyingBytesMax: Number.POSITIVE_INFINITY,
  uncommittedBytesMax: Number.POSITIVE_INFINITY,
  inflightBytesMax: Number.POSITIVE_INFINITY,
  acceptedBytesMax: Number.POSITIVE_INFINITY,
};

/** What the scripts print for refusals; nothing for the others. */
const ERRORS: Partial<Record<Refusal, string>> = {
  "unknown-sender": "raft: cannot step as peer not found",
  "no-leader": "raft proposal dropped",
  "not-a-member": "raft proposal dropped",
  "transfer-in-progress": "raft proposal dropped",
  "forwarding-disabled": "raft proposal dropped",
  "uncommitted-bytes": "raft proposal dropped",
};

/** The stage on which scripts play: nodes, and the messages between them, which move only when a script says so. */
export class Interaction {
  readonly #nodes: ScriptNode[] = [];
  readonly #out = new Printer();
  #inFlight: Envelope[] = [];

  /** @returns what the command prints, as it is compared */
  run(directive: Directive): string {
    this.#handle(directive);
    return comparable(this.#out.take());
  }

  #handle(directive: Directive): void {
    const { command, args, input } = directive;
    const ids = bareIds(directive);
    const [first = 0, second = 0] = ids;
    switch (command) {
      case "add-nodes":
        return this.#addNodes(first, directive);
      case "campaign":
        this.#node(first).raft.campaign();
        return;
      case "compact":
        this.#node(first).storage.compact(second);
        return this.#printLog(first);
      case "deliver-msgs":
        return this.#deliverCommand(ids, directive);
      case "forget-leader":
        this.#node(first).raft.forgetLeader();
        return;
      case "log-level":
        this.#out.isQuiet = args[0]?.key === "none";
        return;
      case "process-ready":
        return this.#each(ids, "handling Ready", (id) => this.#processReady(id));
      case "process-append-thread":
        return this.#each(ids, "processing append thread", (id) => this.#processAppend(id));
      case "process-apply-thread":
        return this.#each(ids, "processing apply thread", (id) => this.#processApply(id));
      case "propose": {
        const text = args[1]?.key ?? "";
        return this.#printRefusal(this.#node(first).raft.propose(Buffer.from(text)));
      }
      case "propose-conf-change":
        return this.#proposeChange(first, input.join(" "), directive);
      case "raft-log":
        return this.#printLog(first);
      case "raft-state":
        return this.#printState();
      case "report-unreachable":
        return this.#node(first).raft.reportUnreachable(second);
      case "send-snapshot":
        return this.#sendSnapshot(first, second);
      case "set-randomized-election-timeout":
        return this.#node(first).raft.setElectionTimeout(Number(valuesOf(directive, "timeout")[0]));
      case "stabilize":
        return this.#stabilizeCommand(ids, valuesOf(directive, "log-level")[0] === "none");
      case "status":
        for (const [id, member] of this.#node(first).raft.status().members)
          this.#out.print(`${id}: ${memberText(member)}`);
        return;
      case "tick-election":
        return this.#tick(first, this.#node(first).options.electionTicks);
      case "tick-heartbeat":
        return this.#tick(first, this.#node(first).options.heartbeatTicks);
      case "transfer-leadership": {
        const from = Number(valuesOf(directive, "from")[0]);
        this.#node(from).raft.transferLeader(Number(valuesOf(directive, "to")[0]));
        return;
      }
      default:
        throw new Error(`unknown command ${command}`);
    }
  }

  #addNodes(count: number, directive: Directive): void {
    const numbers = (key: string): number[] => valuesOf(directive, key).map(Number);
    const isOn = (key: string): boolean => valuesOf(directive, key)[0] === "true";
    const [index] = numbers("index");
    const [inflightMessagesMax = unlimited.inflightMessagesMax] = numbers("inflight");
    const [applyingBytesMax = unlimited.applyingBytesMax] = numbers("max-committed-size-per-ready");
    const members = { voters: numbers("voters"), learners: numbers("learners") };
    const configuration = { ...members, outgoing: [], learnersNext: [], autoLeave: false };
    const bootstrap = index ? { index, term: 1, configuration, data: NO_DATA } : undefined;
    for (let added = 0; added < count; added++) {
      const options: RaftOptions = {
        ...unlimited,
        id: this.#nodes.length + 1,
        inflightMessagesMax,
        applyingBytesMax,
        preVote: isOn("prevote"),
        checkQuorum: isOn("checkquorum"),
        asyncStorage: isOn("async-storage-writes"),
        stepDownOnRemoval: isOn("step-down-on-removal"),
        disableChangeValidation: isOn("disable-conf-change-validation"),
        readMode: valuesOf(directive, "read-only")[0] === "lease-based" ? "lease-based" : "safe",
      };
      this.#nodes.push(new ScriptNode(options, bootstrap));
    }
  }

  #proposeChange(id: number, text: string, directive: Directive): void {
    const kind = valuesOf(directive, "v1")[0] === "true" ? "change-v1" : "change-v2";
    const transition = (valuesOf(directive, "transition")[0] ?? "auto") as ChangeTransition;
    const change = { transition, steps: stepsFrom(text), context: NO_DATA };
    this.#printRefusal(this.#node(id).raft.proposeChange(change, kind));
  }

  #sendSnapshot(from: number, to: number): void {
    const { raft, latest: snapshot } = this.#node(from);
    const message: Envelope = { kind: "snapshot", from, to, term: raft.status().term, snapshot };
    this.#inFlight.push(message);
    this.#out.print(envelopeText(message));
  }

  #deliverCommand(ids: readonly number[], directive: Directive): void {
    const type = valuesOf(directive, "type")[0];
    const isWanted = (text: string): boolean => type === undefined || text.includes(` ${type} `);
    let count = 0;
    for (const id of ids) count += this.#deliver(id, isWanted);
    for (const id of valuesOf(directive, "drop").map(Number)) count += this.#drop(id, isWanted);
    if (count === 0) this.#out.print("no messages");
  }

  #deliver(id: number, isWanted: (text: string) => boolean = () => true): number {
    const taken = this.#take((one) => one.to === id && isWanted(envelopeText(one)));
    for (const envelope of taken) {
      this.#out.print(envelopeText(envelope));
      const { raft } = this.#node(id);
      if (isDone(envelope)) raft.acknowledge(envelope);
      else if (envelope.from !== id) this.#printRefusal(raft.step(envelope), "step");
      else if (envelope.kind === "append-response" || envelope.kind === "vote-response")
        this.#printRefusal(raft.acknowledge(envelope));
      else if (envelope.kind === "pre-vote-response") raft.acknowledge(envelope);
    }
    return taken.length;
  }

  #drop(id: number, isWanted: (text: string) => boolean): number {
    const taken = this.#take(
      (one) => one.to === id && !isDone(one) && one.from !== id && isWanted(envelopeText(one)),
    );
    for (const envelope of taken) this.#out.print(`dropped: ${envelopeText(envelope)}`);
    return taken.length;
  }

  #take(isWanted: (envelope: Envelope) => boolean): readonly Envelope[] {
    const taken = this.#inFlight.filter(isWanted);
    this.#inFlight = this.#inFlight.filter((one) => !taken.includes(one));
    return taken;
  }

  #processReady(id: number): void {
    const node = this.#node(id);
    const ready = node.raft.ready();
    this.#out.print(readyText(ready, id));
    if (!node.options.asyncStorage) {
      node.persist(ready.hardState, ready.entries, ready.snapshot);
      node.apply(ready.committed);
    }
    if (ready.append) node.appendWork.push(ready.append);
    if (ready.apply) node.applyWork.push(ready.apply);
    this.#inFlight.push(...ready.messages, ...ready.promises);
    if (!node.options.asyncStorage) node.raft.advance();
  }

  #processAppend(id: number): void {
    const node = this.#node(id);
    const work = node.appendWork.shift();
    if (work === undefined) return this.#out.print("no append work to perform");
    this.#out.print(`Processing:\n${appendText(work, id, false)}\nResponses:`);
    node.persist(work.hardState, work.entries, work.snapshot);
    for (const response of work.responses) this.#out.print(envelopeText(response));
    this.#inFlight.push(...work.responses);
  }

  #processApply(id: number): void {
    const node = this.#node(id);
    const work = node.applyWork.shift();
    if (work === undefined) return this.#out.print("no apply work to perform");
    this.#out.print(`Processing:\n${applyText(work, id, false)}\nResponses:`);
    node.apply(work.entries);
    this.#out.print(envelopeText(work.response));
    this.#inFlight.push(work.response);
  }

  #stabilizeCommand(ids: readonly number[], isQuiet: boolean): void {
    const before = this.#out.isQuiet;
    if (isQuiet) this.#out.isQuiet = true;
    const all = ids.length > 0 ? ids : this.#nodes.map(({ id }) => id);
    while (this.#stabilizeOnce(all));
    this.#out.isQuiet = before;
  }

  #stabilizeOnce(ids: readonly number[]): boolean {
    let isBusy = false;
    const during = (id: number, what: string, act: () => void): void => {
      isBusy = true;
      this.#out.print(`> ${id} ${what}`);
      this.#out.indented(act);
    };
    for (const id of ids)
      if (this.#node(id).raft.hasReady) during(id, "handling Ready", () => this.#processReady(id));
    for (const id of ids)
      if (this.#inFlight.some(({ to }) => to === id))
        during(id, "receiving messages", () => this.#deliver(id));
    for (const id of ids)
      if (this.#node(id).appendWork.length > 0)
        during(id, "processing append thread", () => {
          while (this.#node(id).appendWork.length > 0) this.#processAppend(id);
        });
    for (const id of ids)
      if (this.#node(id).applyWork.length > 0)
        during(id, "processing apply thread", () => {
          while (this.#node(id).applyWork.length > 0) this.#processApply(id);
        });
    return isBusy;
  }

  #each(ids: readonly number[], what: string, act: (id: number) => void): void {
    for (const id of ids) {
      if (ids.length === 1) return act(id);
      this.#out.print(`> ${id} ${what}`);
      this.#out.indented(() => act(id));
    }
  }

  #tick(id: number, count: number): void {
    for (let at = 0; at < count; at++) this.#node(id).raft.tick();
  }

  #printLog(id: number): void {
    const { storage } = this.#node(id);
    const [first, last] = [storage.firstIndex(), storage.lastIndex()];
    if (last < first)
      return this.#out.print(`log is empty: first index=${first}, last index=${last}`);
    const entries = storage.entries(first, last + 1, Number.POSITIVE_INFINITY) ?? [];
    for (const entry of entries) this.#out.print(entryText(entry));
  }

  #printState(): void {
    for (const { id, raft } of this.#nodes) {
      const { role, term, leader, configuration } = raft.status();
      const voter = isVoter(configuration, id) ? "(Voter)" : "(Non-Voter)";
      this.#out.print(`${id}: ${roleText(role)} ${voter} Term:${term} Lead:${leader}`);
    }
  }

  #printRefusal(refusal: Refusal | undefined, during?: "step"): void {
    // An error of a command is printed even where nothing else is.
    const text = refusal && ERRORS[refusal];
    if (text === undefined) return;
    const before = this.#out.isQuiet;
    if (during === undefined) this.#out.isQuiet = false;
    this.#out.print(text);
    this.#out.isQuiet = before;
  }

  #node(id: number): ScriptNode {
    const node = this.#nodes[id - 1];
    if (node === undefined) throw new Error(`there is no node ${id}`);
    return node;
  }
}

function isDone(envelope: Envelope): envelope is Extract<Envelope, { kind: `${string}-done` }> {
  return envelope.kind === "append-done" || envelope.kind === "apply-done";
}
