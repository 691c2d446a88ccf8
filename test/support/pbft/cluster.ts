import { type Batch, makeBatch } from "../../../src/consensus/pbft/batch.ts";
import { requestSigner } from "../../../src/consensus/pbft/credentials.ts";
import type {
  PbftEffects,
  PbftInput,
  Refusal,
  Reply,
  TimerName,
} from "../../../src/consensus/pbft/effects.ts";
import type { Evidence } from "../../../src/consensus/pbft/evidence.ts";
import {
  decodeMessage,
  type Message,
  messageBytesMax,
} from "../../../src/consensus/pbft/messages.ts";
import type { PbftOptions } from "../../../src/consensus/pbft/options.ts";
import { PbftReplica } from "../../../src/consensus/pbft/replica.ts";
import { makeRequest, type Request } from "../../../src/consensus/pbft/request.ts";
import { type Vote, VoteCheck, type VoteKind } from "../../../src/consensus/pbft/vote.ts";
import { nodeHasher } from "../../../src/platform/node/hasher.ts";
import { PbftInvariants } from "./invariants.ts";
import { Ledger } from "./ledger.ts";
import { type Members, membersOf } from "./members.ts";
import { smallOptions } from "./small-options.ts";

/** A message under way. */
export interface Mail {
  readonly from: number;
  readonly to: number;
  readonly bytes: Uint8Array;
  readonly message: Message;
}

/** One replica with what it has: its disk survives a restart, the rest does not. */
export interface ClusterNode {
  replica: PbftReplica | undefined;
  readonly disk: Map<string, Uint8Array>;
  ledger: Ledger;
  readonly timers: Map<TimerName, number>;
  readonly replies: Reply[];
  readonly evidence: Evidence[];
  readonly refused: Refusal[];
  readonly executed: { readonly sequence: number; readonly requests: readonly Request[] }[];
}

/** Replicas whose messages a test delivers as it likes, without any clock. Every effect is checked for the invariants. */
export class Cluster {
  readonly members: Members;
  readonly options: PbftOptions;
  readonly nodes: readonly ClusterNode[];
  readonly invariants: PbftInvariants;
  /** Shares nothing with the replicas. */
  readonly check: VoteCheck;
  /** Not delivered yet. */
  mail: Mail[] = [];

  constructor(size = 4, options: Partial<PbftOptions> = {}, liars: readonly number[] = []) {
    this.members = membersOf(size);
    this.options = { ...smallOptions, ...options };
    this.check = new VoteCheck(this.members.group, this.members.credentials[0]!, nodeHasher);
    this.invariants = new PbftInvariants(this.check, this.options, new Set(liars));
    this.nodes = this.members.signers.map(() => ({
      replica: undefined,
      disk: new Map(),
      ledger: new Ledger(),
      timers: new Map(),
      replies: [],
      evidence: [],
      refused: [],
      executed: [],
    }));
    for (const index of this.nodes.keys()) this.start(index);
  }

  replica(index: number): PbftReplica {
    const { replica } = this.nodes[index]!;
    if (replica === undefined) throw new Error(`${index} is down`);
    return replica;
  }

  start(index: number): void {
    const { group, credentials } = this.members;
    const node = this.nodes[index]!;
    const replica = new PbftReplica({
      group,
      credentials: credentials[index]!,
      hasher: nodeHasher,
      options: this.options,
      kept: node.disk,
    });
    node.replica = replica;
    node.ledger = new Ledger();
    this.invariants.started(index);
    this.#perform(index, replica.start());
  }

  crash(index: number): void {
    const node = this.nodes[index]!;
    node.replica = undefined;
    node.timers.clear();
    this.mail = this.mail.filter(({ to }) => to !== index);
  }

  /** A client's request, signed. */
  request(client: string, timestamp: number, operation = `${client} ${timestamp}`): Request {
    const signer = this.members.keys.signer(client);
    const made = makeRequest(
      this.members.group,
      { client: signer.peerId, timestamp, operation: Buffer.from(operation) },
      requestSigner(signer),
    );
    this.invariants.sent(made);
    return made;
  }

  /** A client sends to these replicas, to all that are up by default. */
  ask(request: Request, to: Iterable<number> = this.up()): void {
    for (const index of to) this.step(index, { kind: "request", bytes: request.bytes });
  }

  up(): number[] {
    return [...this.nodes.keys()].filter((index) => this.nodes[index]!.replica !== undefined);
  }

  step(index: number, input: PbftInput): PbftEffects {
    const effects = this.replica(index).step(input);
    this.#perform(index, effects);
    return effects;
  }

  /** A vote as this replica would sign it. */
  vote(signer: number, kind: VoteKind, view: number, sequence: number, digest: string): Vote {
    const { credentials } = this.members;
    return this.check.sign(credentials[signer]!, signer, { kind, view, sequence, digest });
  }

  /** A batch of these requests. */
  batch(...requests: readonly Request[]): Batch {
    return makeBatch(nodeHasher, requests);
  }

  /** Names of what a replica refused so far. */
  refusals(index: number): string[] {
    return this.nodes[index]!.refused.map(({ reason }) => reason);
  }

  /** As if it came from this replica. */
  tell(from: number, to: number, bytes: Uint8Array): PbftEffects {
    return this.step(to, { kind: "message", from: this.members.group.members[from]!, bytes });
  }

  /** Delivers until nothing is under way. @param passes false loses the message */
  deliver(passes: (mail: Mail) => boolean = () => true): void {
    for (let one = this.mail.shift(); one !== undefined; one = this.mail.shift())
      if (this.nodes[one.to]!.replica !== undefined && passes(one))
        this.tell(one.from, one.to, one.bytes);
  }

  /** A timer of these replicas fires, if it runs. */
  fire(timer: TimerName, of: Iterable<number> = this.up()): void {
    for (const index of of)
      if (this.nodes[index]!.timers.delete(timer)) this.step(index, { kind: "timer", timer });
  }

  /** Looks for what was lost and delivers, several times. */
  settle(rounds = 6, passes: (mail: Mail) => boolean = () => true): void {
    for (let round = 0; round < rounds; round++) {
      this.fire("resend");
      this.deliver(passes);
    }
  }

  #perform(index: number, effects: PbftEffects): void {
    const node = this.nodes[index]!;
    const { group } = this.members;
    this.invariants.performed(index, effects, node.replica?.stable.sequence ?? 0);
    for (const operation of effects.persist)
      if (operation.type === "put") node.disk.set(operation.key, operation.value);
      else node.disk.delete(operation.key);
    for (const { to, bytes } of effects.send) {
      const message = decodeMessage(bytes, messageBytesMax(this.options, group), group.size)!;
      for (const peer of to)
        this.mail.push({ from: index, to: group.indexOf(peer)!, bytes, message });
    }
    for (const { timer, afterMs } of effects.timers)
      if (afterMs === undefined) node.timers.delete(timer);
      else node.timers.set(timer, afterMs);
    node.replies.push(...effects.replies);
    node.evidence.push(...effects.evidence);
    node.refused.push(...effects.refused);
    if (effects.install !== undefined) node.ledger.install(effects.install);
    if (effects.execute === undefined) return;
    const { sequence, requests } = effects.execute;
    node.executed.push({ sequence, requests });
    const done = node.ledger.execute(effects.execute);
    if (done.state !== undefined) this.invariants.stateAfter(sequence, done.state);
    this.step(index, { kind: "executed", sequence, ...done });
  }
}
