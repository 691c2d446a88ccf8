import assert from "node:assert/strict";
import type { Certificate } from "../../../src/consensus/pbft/certificate.ts";
import type {
  Decision,
  Execution,
  Installation,
  PbftEffects,
  Reply,
} from "../../../src/consensus/pbft/effects.ts";
import { type Evidence, isProof } from "../../../src/consensus/pbft/evidence.ts";
import { KEYS } from "../../../src/consensus/pbft/keys.ts";
import { decodeMessage, messageBytesMax } from "../../../src/consensus/pbft/messages.ts";
import type { PbftOptions } from "../../../src/consensus/pbft/options.ts";
import type { Request } from "../../../src/consensus/pbft/request.ts";
import { decodeViewChange } from "../../../src/consensus/pbft/view-change.ts";
import type { Vote, VoteCheck } from "../../../src/consensus/pbft/vote.ts";
import { Justified } from "./justified.ts";

/** Kinds of votes that belong to a view: who leaves it may not make them any more. */
const IN_VIEW = new Set(["pre-prepare", "prepare", "commit"]);

/**
 * What has to hold after every event, whatever liars, network and crashes do: one batch for each sequence number, executed in
 * order; each request of a client once, and none that no client sent; no honest replica contradicts itself, not even over a
 * restart; only liars are accused. Told what honest replicas do; throws an AssertionError at the first thing that is wrong.
 */
export class PbftInvariants {
  readonly #check: VoteCheck;
  readonly #options: PbftOptions;
  readonly #bytesMax: number;
  readonly #liars: ReadonlySet<number>;
  /** What clients sent. */
  readonly #sent = new Set<string>();
  readonly #decided = new Map<number, string>();
  readonly #executed = new Map<number, string>();
  readonly #sequenceOf = new Map<string, number>();
  readonly #results = new Map<string, string>();
  readonly #states = new Map<number, string>();
  /** For each replica, what it has executed last. */
  readonly #reached: number[] = [];
  readonly #said = new Map<string, string>();
  readonly #leftUpTo: number[] = [];
  readonly #justified: Justified;
  readonly #stable = new Map<number, Certificate>();

  /** @param check one that shares nothing with the replicas */
  constructor(check: VoteCheck, options: PbftOptions, liars: ReadonlySet<number>) {
    this.#check = check;
    this.#options = options;
    this.#bytesMax = messageBytesMax(options, check.group);
    this.#liars = liars;
    this.#justified = new Justified(check, options, liars);
  }

  /** Sequence numbers that were decided anywhere. */
  get decidedCount(): number {
    return this.#decided.size;
  }

  /** Requests that were executed anywhere. */
  get executedCount(): number {
    return this.#sequenceOf.size;
  }

  /** A client sent this. */
  sent(request: Request): void {
    this.#sent.add(nameOf(request));
  }

  /** A replica starts, with nothing executed. */
  started(replica: number): void {
    this.#reached[replica] = 0;
  }

  /** An honest replica wants this done; it is on record. @param stable its low watermark when it said so */
  performed(replica: number, effects: PbftEffects, stable: number): void {
    for (const operation of effects.persist)
      if (operation.type === "put" && operation.key === KEYS.newView)
        this.#justified.entered(replica, operation.value);
    const executed = this.#reached[replica] ?? 0;
    const sent = effects.send.map(({ bytes }) => this.#sends(replica, bytes));
    const votes = sent.filter((vote) => vote?.signer === replica);
    for (const vote of votes)
      if (vote !== undefined) this.#justified.prepares(vote, stable, executed);
    for (const vote of votes) if (vote !== undefined) this.#justified.commits(vote);
    for (const evidence of effects.evidence) this.#accuses(evidence);
    for (const decision of effects.decided) this.#decides(decision);
    if (effects.install !== undefined) this.#installs(replica, effects.install);
    if (effects.execute !== undefined) this.#executes(replica, effects.execute);
    for (const reply of effects.replies) this.#replies(reply);
  }

  /** A replica stops before it could say what is on record. */
  tore(replica: number): void {
    this.#justified.tore(replica);
  }

  /** What an honest replica holds to be stable. */
  stable(replica: number, certificate: Certificate): void {
    if (certificate.sequence === 0 || this.#stable.get(replica) === certificate) return;
    this.#stable.set(replica, certificate);
    this.#justified.certified(certificate);
  }

  /** An honest replica's application has this state. */
  stateAfter(sequence: number, state: Uint8Array): void {
    this.#same(
      this.#states,
      sequence,
      hex(state),
      `state agreement: states after ${sequence} differ`,
    );
  }

  #executes(replica: number, { sequence, requests }: Execution): void {
    assert.equal(
      sequence,
      (this.#reached[replica] ?? 0) + 1,
      `order: ${replica} executes ${sequence} after ${this.#reached[replica] ?? 0}`,
    );
    this.#reached[replica] = sequence;
    const names = requests.map(nameOf);
    this.#same(
      this.#executed,
      sequence,
      names.join(),
      `agreement: executions at ${sequence} differ`,
    );
    for (const name of names) {
      assert.ok(this.#sent.has(name), `validity: nobody sent ${name}`);
      this.#same(this.#sequenceOf, name, sequence, `exactly once: ${name} was executed twice`);
    }
  }

  #installs(replica: number, { sequence, state }: Installation): void {
    this.#reached[replica] = sequence;
    this.#same(
      this.#states,
      sequence,
      hex(state),
      `state agreement: a wrong state after ${sequence}`,
    );
  }

  #decides({ certificate, requests }: Decision): void {
    const { sequence, digest } = certificate;
    this.#justified.certified(certificate);
    this.#same(this.#decided, sequence, digest, `agreement: decisions of ${sequence} differ`);
    for (const request of requests)
      assert.ok(this.#sent.has(nameOf(request)), `validity: nobody sent ${nameOf(request)}`);
  }

  #replies(reply: Reply): void {
    if (reply.kind !== "executed") return;
    const name = `${reply.client}/${reply.timestamp}`;
    this.#same(this.#results, name, hex(reply.result), `agreement: results of ${name} differ`);
  }

  #accuses(evidence: Evidence): void {
    assert.ok(isProof(evidence, this.#check), "accountability: evidence proves nothing");
    assert.ok(
      this.#liars.has(evidence.accused),
      `accountability: ${evidence.accused} is accused, and honest`,
    );
  }

  /** @returns the vote that it is, or holds */
  #sends(replica: number, bytes: Uint8Array): Vote | undefined {
    assert.ok(bytes.length <= this.#bytesMax, `bounded messages: one of ${bytes.length} bytes`);
    const message = decodeMessage(bytes, this.#bytesMax, this.#check.group.size);
    assert.ok(message !== undefined, "well-formed: an honest replica sends what can not be read");
    if (message.kind === "pre-prepare" || message.kind === "vote") {
      this.#says(replica, message.vote);
      return message.vote;
    }
    if (message.kind !== "view-change") return undefined;
    const change = decodeViewChange(message.bytes, this.#check, this.#options);
    assert.ok(
      change !== undefined,
      "well-formed: an honest replica sends a view change that is none",
    );
    this.#says(replica, change.vote);
    this.#leftUpTo[replica] = Math.max(this.#leftUpTo[replica] ?? 0, change.vote.view);
    return undefined;
  }

  #says(replica: number, { signer, kind, view, sequence, digest }: Vote): void {
    if (signer !== replica) return;
    // There is one view change for each view, whatever its checkpoint.
    const what = kind === "view-change" ? view : `${view}/${sequence}`;
    const statement = `${kind} of ${replica} for ${what}`;
    this.#same(this.#said, statement, digest, `no equivocation: there are two: ${statement}`);
    if (!IN_VIEW.has(kind)) return;
    assert.ok(
      view >= (this.#leftUpTo[replica] ?? 0),
      `views left: ${replica} had left: ${statement}`,
    );
  }

  #same<K, V>(known: Map<K, V>, key: K, value: V, message: string): void {
    const before = known.get(key);
    if (before === undefined) known.set(key, value);
    else assert.equal(value, before, message);
  }
}

function nameOf({ client, timestamp, operation }: Request): string {
  return `${client}/${timestamp}/${hex(operation)}`;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
