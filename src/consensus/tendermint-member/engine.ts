import type { Clock, Timer } from "../../platform/clock.ts";
import type { Hasher } from "../../platform/hasher.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import { LostLogError } from "../ordering/lost-log.ts";
import { faultOfCertificate } from "../tendermint/certificate.ts";
import type {
  Decision,
  HostRequest,
  OutgoingMessage,
  RefusalKind,
  TendermintEffects,
  TendermintInput,
  TendermintTimer,
} from "../tendermint/effects.ts";
import type { Evidence } from "../tendermint/evidence.ts";
import { heightOf, type TendermintMessage } from "../tendermint/messages.ts";
import type { BallotVerifier } from "../tendermint/signing.ts";
import { Tendermint } from "../tendermint/tendermint.ts";
import { heightEntry, type WalEntry } from "../tendermint/wal.ts";
import { type Block, decodeBlock, encodeBlock, isSameBasis, roomOf } from "./block.ts";
import type { Applied, GroupState } from "./group-state.ts";
import type { LoadedLog } from "./log-disk.ts";
import type { LogWriter } from "./log-writer.ts";
import type { TendermintMemberOptions } from "./options.ts";
import type { Pool } from "./pool.ts";
import type { ProvenState } from "./record-codec.ts";
import type { SnapshotDesk } from "./snapshot-desk.ts";
import { decodeState } from "./state-codec.ts";

/** What an engine is made of. */
export interface EngineParts {
  readonly group: string;
  readonly signer: Signer;
  readonly hasher: Hasher;
  readonly verifier: BallotVerifier;
  readonly clock: Clock;
  readonly options: TendermintMemberOptions;
  readonly state: GroupState;
  readonly pool: Pool;
  readonly snapshots: SnapshotDesk;
  readonly writer: LogWriter;
  /** By which ticket this member came; undefined for a founder. */
  readonly ticketId: string | undefined;
  /** It has no state yet: it waits for one from elsewhere. */
  readonly isBlank: boolean;
  readonly send: (to: readonly PeerId[], message: TendermintMessage) => void;
  /** A height is applied here, and durable. */
  readonly applied: (height: number, applied: readonly Applied[]) => void;
  readonly refused: (from: PeerId, kind: RefusalKind) => void;
  readonly evidence: (evidence: readonly Evidence[]) => void;
  /** Who proposes, or who the members are, may have changed. */
  readonly moved: () => void;
  /** A peer asks for what is kept here no more. */
  readonly history: (peer: PeerId) => void;
  /** This member must not speak any more. */
  readonly lost: (error: Error) => void;
}

/**
 * Runs the core: time and messages in, records on disk before words, blocks out of the pool, decisions into the state.
 *
 * No empty blocks: after a decision the next height begins only once something waits in the pool here, or a member speaks
 * of a later height. A proposer whose pool is empty waits for a while, and then proposes an empty block, so that what has
 * begun ends. Who lags asks: each decision that it is given for the next one, and now and then one of the others.
 */
export class Engine {
  readonly #parts: EngineParts;
  readonly #timers = new Set<Timer>();
  readonly #inputs: TendermintInput[] = [];
  #node: Tendermint | undefined;
  #hasStarted = false;
  #isStopped = false;
  #isRunning = false;
  /** A value that the core waits for. */
  #wanted: Extract<HostRequest, { kind: "value" }> | undefined;
  #judged: { readonly valueId: string; readonly block: Block } | undefined;
  /** Who has given the decision that is taken at the moment. */
  #giver: PeerId | undefined;

  constructor(parts: EngineParts) {
    this.#parts = parts;
  }

  get node(): Tendermint | undefined {
    return this.#node;
  }

  /**
   * Members know this one, and not by the ticket that it came with: another run of it has said what it knows nothing of. It
   * listens until it is let in by its own.
   */
  get isMute(): boolean {
    const { state, signer, ticketId } = this.#parts;
    const { peerId } = signer;
    return state.rotation.validators.has(peerId) && state.admissionOf(peerId) !== ticketId;
  }

  /** This member was in the group, and was taken out. */
  get hasLeft(): boolean {
    const { state, signer, ticketId } = this.#parts;
    return state.hasLeft(signer.peerId, ticketId);
  }

  /** Brings the state to where the log ends. @throws LostLogError when the log does not fit itself */
  load({ state: proven, decisions, entries }: LoadedLog): void {
    const { state, snapshots, writer } = this.#parts;
    if (proven !== undefined) {
      const { height, block } = proven.offer;
      const digest = decodeBlock(block, this.#parts.options)?.basis.snapshotDigest ?? "";
      if (!state.restore(height, digest, proven.state))
        throw new LostLogError("the state can not be read");
      snapshots.restore(proven);
    } else if (!this.#parts.isBlank) state.found();
    for (const { certificate, value } of decisions) {
      const { height, round, valueId } = certificate;
      const applied = this.#apply({ height, round, valueId, value, certificate });
      if (applied === undefined) throw new LostLogError(`decision ${height} is of another state`);
      if (applied.proven !== undefined) writer.keep(applied.proven);
    }
    if (this.#parts.isBlank && proven === undefined) return;
    this.#node = this.#make([...decisions, ...entries]);
    // What has begun goes on; else nothing does until there is a reason.
    if (entries.length > 0) this.#begin();
  }

  /** Something waits in the pool. */
  poke(): void {
    if (this.#wanted !== undefined) this.#answer(this.#wanted, false);
    else this.#goOn();
  }

  /** Takes a message of the protocol, of whomever the group listens to. */
  take(from: PeerId, message: TendermintMessage): void {
    const node = this.#node;
    if (node === undefined || this.#isStopped) return;
    const isMember = this.#parts.state.rotation.validators.has(from);
    // Who asks may know no more than this member.
    const isReason = message.kind !== "ask" && (isMember || this.#isNextDecision(message));
    if (!this.#hasStarted && !(isReason && this.#begin())) return;
    if (message.kind === "decision" || message.kind === "part") this.#giver = from;
    this.#input({ kind: "message", from, message });
    const isLater = node.decision !== undefined && heightOf(message) > node.state.height;
    if (isLater && isReason && this.#next() && !isMember)
      // It was not kept, since a stranger gave it.
      this.#input({ kind: "message", from, message });
    this.#giver = undefined;
  }

  /** Nothing goes on: whoever is asked may have gone on without this member. */
  askNext(peer: PeerId): void {
    const node = this.#node;
    if (node === undefined || this.#isStopped) return;
    if (this.#hasStarted && node.decision === undefined) return;
    this.#parts.send([peer], { kind: "ask", height: this.#parts.state.height + 1 });
  }

  /** Tells a peer what was decided at a height, as if it had asked. */
  answer(peer: PeerId, height: number): void {
    if (this.#hasStarted)
      this.#input({ kind: "message", from: peer, message: { kind: "ask", height } });
  }

  /** A state of others takes the place of all that is here. */
  replace(proven: ProvenState): void {
    const { writer, state, snapshots } = this.#parts;
    const { height, block } = proven.offer;
    const rotation = decodeState(proven.state)?.rotation;
    const digest = decodeBlock(block, this.#parts.options)?.basis.snapshotDigest;
    if (rotation === undefined || digest === undefined) return;
    this.#quiet();
    this.#node = undefined;
    const begun = heightEntry(height + 1, rotation);
    writer.replace(proven, [begun], () => {
      if (!state.restore(height, digest, proven.state)) {
        this.#parts.lost(new Error("the state of others can not be read"));
        return;
      }
      snapshots.restore(proven);
      this.#node = this.#make([begun]);
      this.#begin();
      this.#parts.moved();
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#quiet();
  }

  #quiet(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.#inputs.length = 0;
    this.#wanted = undefined;
    this.#hasStarted = false;
  }

  #make(log: readonly WalEntry[]): Tendermint {
    const { signer, hasher, options, group, state } = this.#parts;
    return new Tendermint({
      signer,
      hasher,
      options: options.tendermint,
      instance: group,
      validators: state.rotation.validators.all,
      firstHeight: state.height + 1,
      isMute: this.isMute,
      log,
    });
  }

  /** @returns whether the core runs now */
  #begin(): boolean {
    if (this.hasLeft) return false;
    this.#hasStarted = true;
    this.#input({ kind: "start" });
    return !this.#isStopped;
  }

  #goOn(): void {
    if (this.#parts.pool.size > 0) this.#next();
  }

  /** Begins the next height. @returns whether it did */
  #next(): boolean {
    const node = this.#node;
    if (node === undefined || this.#isStopped || this.hasLeft) return false;
    if (!this.#hasStarted) return this.#begin();
    if (node.decision === undefined || node.decision.height !== this.#parts.state.height)
      return false;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.#wanted = undefined;
    this.#input({
      kind: "next-height",
      changes: this.#parts.state.changes,
      isMute: this.isMute,
    });
    return true;
  }

  #isNextDecision(message: TendermintMessage): boolean {
    const { state, verifier } = this.#parts;
    if (message.kind !== "decision" || message.certificate.height !== state.height + 1)
      return false;
    return (
      faultOfCertificate(message.certificate, state.rotation.validators, verifier) === undefined
    );
  }

  #input(input: TendermintInput): void {
    this.#inputs.push(input);
    if (this.#isRunning) return;
    this.#isRunning = true;
    for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) {
      if (this.#node === undefined || this.#isStopped) continue;
      this.#perform(this.#node, this.#node.step(next));
      // The pool may hold more.
      if (this.#inputs.length === 0) this.#goOnAfterDecision();
    }
    this.#isRunning = false;
    this.#parts.moved();
  }

  #goOnAfterDecision(): void {
    if (this.#node?.decision !== undefined) this.#goOn();
  }

  #perform(node: Tendermint, effects: TendermintEffects): void {
    const { writer, signer, send, applied, evidence, refused } = this.#parts;
    const heights: { readonly height: number; readonly applied: readonly Applied[] }[] = [];
    for (const decision of effects.decide) {
      const result = this.#decide(decision);
      if (result !== undefined) heights.push({ height: decision.height, applied: result });
    }
    const all = node.rotation.validators.all.map(({ id }) => id);
    const others = all.filter((id) => id !== signer.peerId);
    const speak = ({ to, message }: OutgoingMessage): void =>
      send(to === undefined ? others : [to], message);
    if (effects.persist.length + effects.send.length + heights.length > 0)
      writer.push(effects.persist, () => {
        for (const outgoing of effects.send) speak(outgoing);
        for (const one of heights) applied(one.height, one.applied);
      });
    for (const { timer, afterMs } of effects.timers) this.#wait(timer, afterMs);
    if (effects.evidence.length > 0) evidence(effects.evidence);
    for (const { from, kind } of effects.refused) refused(from, kind);
    for (const request of effects.requests) this.#serve(request);
  }

  #wait(timer: TendermintTimer, afterMs: number): void {
    const waiting = this.#parts.clock.setTimer(`tendermint.${timer.kind}`, afterMs, () => {
      this.#timers.delete(waiting);
      this.#input({ kind: "timeout", timer });
    });
    this.#timers.add(waiting);
  }

  #serve(request: HostRequest): void {
    switch (request.kind) {
      case "value":
        this.#answer(request, false);
        break;
      case "verdict": {
        const { height, valueId, value } = request;
        this.#input({ kind: "verdict", height, valueId, isValid: this.#isValid(valueId, value) });
        break;
      }
      case "history":
        this.#parts.history(request.peer);
        break;
    }
  }

  #answer(request: Extract<HostRequest, { kind: "value" }>, mayBeEmpty: boolean): void {
    const { pool, state, options, clock } = this.#parts;
    const { height, round } = request;
    if (pool.size === 0 && !mayBeEmpty) {
      this.#wanted = request;
      const waiting = clock.setTimer("tendermint.empty", options.emptyBlockAfterMs, () => {
        this.#timers.delete(waiting);
        if (this.#wanted === request) this.#answer(request, true);
      });
      this.#timers.add(waiting);
      return;
    }
    this.#wanted = undefined;
    const operations = pool.pack(roomOf(options), options.blockOperationsMax);
    const block = { basis: state.basis, operations };
    this.#input({ kind: "value", height, round, value: encodeBlock(block) });
  }

  #isValid(valueId: string, value: Uint8Array): boolean {
    const { options, state } = this.#parts;
    const block = decodeBlock(value, options);
    if (block === undefined || !isSameBasis(block.basis, state.basis)) return false;
    this.#judged = { valueId, block };
    return true;
  }

  #decide(decision: Decision): readonly Applied[] | undefined {
    const { state, writer, send } = this.#parts;
    const { height } = decision;
    // It was applied before a restart.
    if (height <= state.height) return undefined;
    const result = this.#apply(decision);
    if (result === undefined) {
      this.#parts.lost(new Error(`what the group decided at ${height} is of another state`));
      return undefined;
    }
    if (result.proven !== undefined) writer.keep(result.proven);
    if (this.#giver !== undefined) send([this.#giver], { kind: "ask", height: height + 1 });
    return result.applied;
  }

  /** @returns undefined for a block that stands on another state than this member's */
  #apply(
    decision: Decision,
  ):
    | { readonly applied: readonly Applied[]; readonly proven: ProvenState | undefined }
    | undefined {
    const { state, snapshots, pool, options } = this.#parts;
    const { valueId, value } = decision;
    const judged = this.#judged;
    const block = judged?.valueId === valueId ? judged.block : decodeBlock(value, options);
    this.#judged = undefined;
    if (block === undefined || !isSameBasis(block.basis, state.basis)) return undefined;
    const { applied, snapshot } = state.apply(valueId, block, value.length);
    const proven = snapshots.decided(decision);
    if (snapshot !== undefined) snapshots.made(snapshot);
    for (const { name } of applied) pool.delete(name);
    return { applied, proven };
  }
}
