import type { Timer } from "../../platform/clock.ts";
import { toHex } from "../../platform/hex.ts";
import type { PeerId } from "../../platform/signer.ts";
import type {
  MembersStep,
  Ordered,
  Ordering,
  OrderingParts,
  OrderingStatus,
  Standing,
} from "../ordering/ordering.ts";
import { AgreementError, type Patience } from "../ordering/waiting.ts";
import type { Evidence } from "../tendermint/evidence.ts";
import { BallotVerifier } from "../tendermint/signing.ts";
import type { Tendermint } from "../tendermint/tendermint.ts";
import { ticketFor } from "./admission.ts";
import { Engine } from "./engine.ts";
import { type Applied, addData, GroupState } from "./group-state.ts";
import { House } from "./house.ts";
import type { LogDisk } from "./log-disk.ts";
import { LogWriter } from "./log-writer.ts";
import { encodeMessage } from "./message-codec.ts";
import type { GroupMessage } from "./messages.ts";
import { named, OPERATION_ID_BYTES, type Operation } from "./operation.ts";
import type { TendermintMemberOptions } from "./options.ts";
import { Pool } from "./pool.ts";
import { Reads } from "./reads.ts";
import { SnapshotDesk } from "./snapshot-desk.ts";
import { type Outcome, Submissions } from "./submissions.ts";
import { Telling } from "./telling.ts";
import { decodeTicket, signTicket, TICKET_ID_BYTES, type Ticket } from "./ticket.ts";

const ROUNDS_OF_HEIGHT = 65_536;
/** A read that was not served by then is put in again. */
const READ_TIMEOUT_MS = 10_000;

/** What a member has counted since it was opened. */
export interface TendermintCounters {
  readonly height: number;
  readonly round: number;
  /** What peers said that was not taken, by reason. */
  readonly refused: ReadonlyMap<string, number>;
  /** Proofs of equivocation that are kept. */
  readonly evidence: number;
  /** Operations that wait, and those that gave way to later ones. */
  readonly waiting: number;
  readonly dropped: number;
  /** States that were taken from others. */
  readonly statesFetched: number;
}

/** One member of a Tendermint group, running. */
export class TendermintMember implements Ordering {
  readonly #parts: OrderingParts;
  readonly #options: TendermintMemberOptions;
  readonly #state: GroupState;
  readonly #pool: Pool;
  readonly #snapshots: SnapshotDesk;
  readonly #writer: LogWriter;
  readonly #engine: Engine;
  readonly #house: House;
  readonly #submissions: Submissions;
  readonly #reads: Reads;
  readonly #telling: Telling;
  readonly #refused = new Map<string, number>();
  readonly #founders: readonly PeerId[];
  readonly #disk: LogDisk;
  #evidence: Evidence[] = [];
  #ticker: Timer | undefined;
  #end: "stopped" | "lost" | "left" | undefined;
  #told = "";

  /** @param ticket that this member came with; undefined for a founder */
  constructor(
    parts: OrderingParts,
    options: TendermintMemberOptions,
    disk: LogDisk,
    ticket: Ticket | undefined,
  ) {
    const { group, signer, hasher, clock, machine } = parts;
    this.#parts = parts;
    this.#options = options;
    this.#disk = disk;
    const { origin } = disk;
    this.#founders = origin.kind === "found" ? origin.members : (ticket?.founders ?? []);
    const first = ticket === undefined || ticket.height === 0 ? this.#founders : ticket.validators;
    this.#state = new GroupState(group, first, { machine, hasher, options });
    this.#pool = new Pool(options);
    this.#snapshots = new SnapshotDesk(hasher);
    const lost = (error: Error): void => this.#lose(error);
    this.#writer = new LogWriter({ ...parts, disk, lost });
    const verifier = new BallotVerifier(signer, group);
    this.#engine = new Engine({
      group,
      signer,
      hasher,
      verifier,
      clock,
      options,
      state: this.#state,
      pool: this.#pool,
      snapshots: this.#snapshots,
      writer: this.#writer,
      ticketId: ticket?.id,
      isBlank: ticket !== undefined && ticket.height > 0,
      send: (to, message) => this.#send(to, { kind: "core", message }),
      applied: (height, applied) => this.#applied(height, applied),
      refused: (from, kind) => this.#house.refuse(from, kind),
      evidence: (evidence) => this.#accuse(evidence),
      moved: () => this.#moved(),
      history: (peer) => this.#house.offer(peer),
      lost,
    });
    this.#house = new House({
      ...parts,
      options,
      verifier,
      state: this.#state,
      pool: this.#pool,
      snapshots: this.#snapshots,
      engine: this.#engine,
      ticket,
      signedTicket: origin.kind === "join" ? decodeTicket(origin.ticket) : undefined,
      refused: this.#refused,
      send: (to, message) => this.#send(to, message),
    });
    this.#submissions = new Submissions(options.waitingMax, options.waitingBytesMax, (name) =>
      this.#pool.delete(name),
    );
    this.#telling = new Telling({
      self: signer.peerId,
      pool: this.#pool,
      submissions: this.#submissions,
      retryAfterMs: options.retryAfterMs,
      nowMs: () => this.#nowMs,
      members: () => this.#state.members,
      leader: () => this.#leader,
      send: (to, message) => this.#send(to, message),
      poke: () => this.#engine.poke(),
    });
    this.#reads = new Reads({
      waitingMax: options.waitingMax,
      timeoutMs: READ_TIMEOUT_MS,
      nowMs: () => this.#nowMs,
      pass: (patience) => this.#put("nothing", new Uint8Array(), patience),
    });
  }

  start(): void {
    const loaded = this.#disk.take();
    this.#evidence = [...loaded.evidence];
    this.#parts.channel.listen((from, bytes) => {
      if (this.#end === undefined || this.#end === "left") this.#house.take(from, bytes);
    });
    this.#engine.load(loaded);
    if (this.#engine.hasLeft) this.#leave();
    this.#tickLater();
    this.#house.greet();
  }

  async stop(): Promise<void> {
    if (this.#end !== "stopped" && this.#end !== "lost") {
      this.#end = "stopped";
      this.#close(new AgreementError("consensus.stopped", "this member stops"));
    }
    await this.#writer.close();
  }

  async submit(
    value: Uint8Array,
    patience: Patience,
    id = this.#parts.random.bytes(OPERATION_ID_BYTES),
  ): Promise<Ordered> {
    const { valueBytesMax } = this.#options;
    if (value.length > valueBytesMax)
      throw new AgreementError(
        "consensus.refused",
        `a value has ${valueBytesMax} bytes at most, not ${value.length}`,
      );
    const { position, result } = await this.#put("value", value, patience, id);
    return { position, result };
  }

  async read(patience: Patience): Promise<void> {
    this.#checkMember();
    await this.#reads.wait(patience);
  }

  ticket(peer: PeerId): Uint8Array {
    this.#checkMember();
    const { group, random, signer } = this.#parts;
    if (peer === signer.peerId)
      throw new AgreementError("consensus.refused", "this peer is a member already");
    const proven = this.#snapshots.proven;
    return signTicket(signer, {
      group,
      id: toHex(random.bytes(TICKET_ID_BYTES)),
      peer,
      height: proven?.height ?? 0,
      digest: proven?.digest,
      validators: this.#state.members,
      founders: proven === undefined ? this.#founders : [],
    });
  }

  async change(step: MembersStep, patience: Patience): Promise<void> {
    this.#checkMember();
    const { peer } = step;
    const isMember = this.#state.rotation.validators.has(peer);
    if (step.kind === "remove" && !isMember) return;
    const refusal =
      step.kind === "add" ? this.#state.refusalOfAdding(peer) : this.#state.refusalOfRemoving(peer);
    if (refusal !== undefined) throw new AgreementError("consensus.refused", refusal);
    const outcome = await (step.kind === "add"
      ? this.#add(peer, step.ticket, patience)
      : this.#put("remove", new TextEncoder().encode(peer), patience));
    if (outcome.refusal !== undefined)
      throw new AgreementError("consensus.refused", outcome.refusal);
    // It hears of it at once, and not when it asks.
    this.#engine.answer(peer, outcome.position);
  }

  status(): OrderingStatus {
    const { height, members } = this.#state;
    const round = Math.max(0, this.#underWay?.state.round ?? 0);
    return {
      protocol: "tendermint",
      standing: this.#standing,
      leader: this.#leader,
      term: (height + 1) * ROUNDS_OF_HEIGHT + round,
      position: height,
      members,
      learners: this.#house.learners,
    };
  }

  /** What proves that members have contradicted themselves, oldest first, the last ones. */
  evidence(): readonly Evidence[] {
    return this.#evidence;
  }

  counters(): TendermintCounters {
    return {
      height: this.#state.height,
      round: Math.max(0, this.#engine.node?.state.round ?? 0),
      refused: this.#refused,
      evidence: this.#evidence.length,
      waiting: this.#pool.size,
      dropped: this.#pool.dropped,
      statesFetched: this.#house.statesFetched,
    };
  }

  get #nowMs(): number {
    return this.#parts.clock.monotonicMs();
  }

  /** The core, while it decides on what comes next. */
  get #underWay(): Tendermint | undefined {
    const { node } = this.#engine;
    return node?.state.height === this.#state.height + 1 ? node : undefined;
  }

  /** Between two heights: whose turn comes. */
  get #leader(): PeerId {
    return this.#underWay?.proposer ?? this.#state.rotation.proposer;
  }

  get #standing(): Standing {
    const { peerId } = this.#parts.signer;
    if (this.#end === "lost" || this.#end === "left") return this.#end;
    if (!this.#isAdmitted) return "learning";
    return this.#leader === peerId ? "leading" : "following";
  }

  get #isAdmitted(): boolean {
    const { validators } = this.#state.rotation;
    return validators.has(this.#parts.signer.peerId) && !this.#engine.isMute;
  }

  #checkMember(): void {
    if (this.#end === "left")
      throw new AgreementError("consensus.refused", "this member was taken out of the group");
    if (this.#end !== undefined)
      throw new AgreementError("consensus.stopped", "this member takes part no more");
    if (!this.#isAdmitted)
      throw new AgreementError("consensus.unready", "this peer is no member yet");
  }

  async #put(
    kind: Operation["kind"],
    data: Uint8Array,
    patience: Patience,
    id = this.#parts.random.bytes(OPERATION_ID_BYTES),
    isReady?: () => boolean,
  ): Promise<Outcome> {
    this.#checkMember();
    const operation = named({ kind, id, data }, this.#parts.hasher);
    if (kind !== "nothing" && this.#state.hasDecided(operation.name))
      return { position: this.#state.height, result: undefined, refusal: undefined };
    const outcome = this.#submissions.put(operation, patience, this.#nowMs, isReady);
    this.#telling.soon();
    return outcome;
  }

  #add(peer: PeerId, bytes: Uint8Array, patience: Patience): Promise<Outcome> {
    const signed = decodeTicket(bytes);
    const { group, signer } = this.#parts;
    const isMember = (issuer: PeerId): boolean => this.#state.rotation.validators.has(issuer);
    const ticket = signed && ticketFor(peer, signed, group, isMember, signer);
    if (ticket === undefined)
      throw new AgreementError("consensus.refused", "no member gave that ticket to that peer");
    if (isMember(peer) && this.#state.admissionOf(peer) === ticket.id) {
      const { height: position } = this.#state;
      return Promise.resolve({ position, result: undefined, refusal: undefined });
    }
    const { joinLagMax } = this.#options;
    // Who is added before it follows costs the others a voice.
    const isReady = (): boolean =>
      (this.#house.heightOf(peer, ticket.id) ?? Number.NEGATIVE_INFINITY) >=
      this.#state.height - joinLagMax;
    return this.#put("add", addData(ticket.id, peer), patience, undefined, isReady);
  }

  #tickLater(): void {
    if (this.#end !== undefined) return;
    const { clock } = this.#parts;
    this.#ticker = clock.setTimer("tendermint.tick", this.#options.tickMs, () => {
      this.#tickLater();
      const nowMs = this.#nowMs;
      this.#submissions.expire(nowMs);
      this.#reads.tick(nowMs);
      this.#pool.expire(nowMs);
      this.#house.tick();
      this.#telling.tick();
    });
  }

  #applied(height: number, applied: readonly Applied[]): void {
    this.#telling.moved();
    for (const { name, result, refusal } of applied)
      this.#submissions.settle(name, { position: height, result, refusal });
    if (this.#engine.hasLeft && this.#end === undefined) this.#leave();
  }

  #accuse(evidence: readonly Evidence[]): void {
    this.#evidence = [...this.#evidence, ...evidence].slice(-this.#options.evidenceKeptMax);
    this.#writer.keepEvidence(evidence);
    const { logger } = this.#parts;
    logger.warn("members of the group contradict themselves", { proofs: evidence.length });
  }

  /** What was decided is still told to who asks. */
  #leave(): void {
    this.#end = "left";
    this.#ticker?.cancel();
    const error = new AgreementError("consensus.refused", "this member was taken out of the group");
    this.#submissions.fail(error);
    this.#reads.fail(error);
    this.#moved();
  }

  #lose(error: Error): void {
    if (this.#end === "lost" || this.#end === "stopped") return;
    this.#end = "lost";
    this.#close(new AgreementError("consensus.stopped", "this member takes part no more"));
    this.#parts.logger.error("a member of the group is lost", { reason: error.message });
    this.#parts.onLost(error);
    this.#parts.onChange();
    void this.#writer.close();
  }

  #close(error: AgreementError): void {
    this.#ticker?.cancel();
    this.#engine.stop();
    this.#submissions.fail(error);
    this.#reads.fail(error);
    this.#parts.channel.close();
  }

  #moved(): void {
    const round = this.#underWay?.state.round ?? 0;
    const told = `${this.#state.height}/${round}/${this.#standing}`;
    if (told === this.#told) return;
    this.#told = told;
    this.#parts.onChange();
  }

  #send(to: readonly PeerId[], message: GroupMessage): void {
    if (to.length === 0 || this.#end === "lost" || this.#end === "stopped") return;
    const bytes = encodeMessage(message);
    // What is lost is said again.
    for (const peer of to) this.#parts.channel.send(peer, bytes).catch(ignore);
  }
}

function ignore(): void {
  // Links come and go.
}
