import type { Timer } from "../../platform/clock.ts";
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
import { requestSigner } from "../pbft/credentials.ts";
import type { Execution, Installation, Reply } from "../pbft/effects.ts";
import { makeRequest } from "../pbft/request.ts";
import { type MemberRefusal, type PbftCounters, Tally } from "./counters.ts";
import { decodeEnvelope } from "./envelope.ts";
import { Epochs, type Loaded } from "./epochs.ts";
import { changeEntry, decodeOperation, keyOf, VALUE_ID_BYTES, valueEntry } from "./operation.ts";
import type { PbftMemberOptions } from "./options.ts";
import { RecordWriter } from "./record-writer.ts";
import { ReplicatedState } from "./replicated-state.ts";
import { Submissions } from "./submissions.ts";
import { HANDOVERS_KEPT } from "./succession.ts";
import { decodeTicket, encodeTicket } from "./ticket.ts";

/** Views that one epoch has in the number that tells of both. */
const VIEWS_IN_TERM = 65_536;
/** What only a peer says that is not well. */
const OFFENCES: ReadonlySet<MemberRefusal> = new Set<MemberRefusal>(["malformed", "oversized"]);

/** What {@link Ordering.status} tells, but for the position. */
interface Shown {
  readonly epoch: number;
  readonly view: number | undefined;
  readonly standing: Standing;
}

/**
 * One member of a PBFT group, running: applies what the core of the epoch decides, brings what callers want to it, and tells
 * them what came of it. An operation that a member signs is executed here as everywhere; so callers go by that, and need no
 * answers of others.
 */
export class PbftMember implements Ordering {
  readonly #parts: OrderingParts;
  readonly #options: PbftMemberOptions;
  readonly #writer: RecordWriter;
  readonly #state: ReplicatedState;
  readonly #epochs: Epochs;
  readonly #submissions: Submissions;
  readonly #tally = new Tally();
  #position = 0;
  #timer: Timer | undefined;
  #phase: "new" | "running" | "lost" | "stopped" = "new";
  #shown: Shown | undefined;

  constructor(parts: OrderingParts, options: PbftMemberOptions, loaded: Loaded) {
    const { signer, clock, random, logger } = parts;
    const { disk, records } = loaded;
    this.#parts = parts;
    this.#options = options;
    this.#state = new ReplicatedState(parts.machine, options.keysMax);
    const writer = new RecordWriter({
      disk,
      clock,
      random: random.fork("pbft.write"),
      logger,
      lost: (error) => this.#lose(error),
    });
    this.#writer = writer;
    const epochs = new Epochs({
      ordering: parts,
      options,
      loaded,
      writer,
      core: {
        execute: (execution) => this.#execute(execution),
        state: () => this.#state.snapshot(),
        install: (installation) => this.#install(installation),
        replied: (reply) => this.#replied(reply),
        stepped: () => this.#show(),
        failed: (error) => this.#lose(error),
      },
      refused: (from, reason) => this.#refused(from, reason),
      accused: (epoch, accused, evidence) => this.#tally.accuse({ epoch, accused, evidence }),
      switched: () => this.#switched(),
    });
    this.#epochs = epochs;
    const sign = requestSigner(signer);
    this.#submissions = new Submissions({
      options,
      hasher: parts.hasher,
      nowMs: () => clock.monotonicMs(),
      timestamp: records.timestamp,
      reserve: (timestamp, done) => writer.push([disk.timestampRecord(timestamp)], done),
      make: (timestamp, operation) =>
        epochs.run &&
        makeRequest(epochs.run.group, { client: signer.peerId, timestamp, operation }, sign).bytes,
      send: (request) => epochs.run?.request(request),
      spread: (request) => epochs.run?.spread(request),
      isDecided: (key) => this.#state.hasDecided(key),
      position: () => this.#position,
    });
  }

  start(): void {
    if (this.#phase !== "new") return;
    this.#phase = "running";
    this.#parts.channel.listen((from, bytes) => this.#take(from, bytes));
    this.#epochs.start();
    if (this.#epochs.head.standing === "left") this.#leave();
    if (this.#phase === "running") this.#tickLater();
    this.#show();
  }

  async stop(): Promise<void> {
    // Who is lost stays so.
    if (this.#phase === "new" || this.#phase === "running") this.#fall("stopped");
    await this.#writer.close();
  }

  submit(
    value: Uint8Array,
    patience: Patience,
    id = this.#parts.random.bytes(VALUE_ID_BYTES),
  ): Promise<Ordered> {
    if (id.length !== VALUE_ID_BYTES)
      return Promise.reject(new RangeError(`an id has ${VALUE_ID_BYTES} bytes`));
    const { valueBytesMax } = this.#options;
    if (value.length > valueBytesMax)
      return Promise.reject(
        new RangeError(`a value has ${valueBytesMax} bytes at most, not ${value.length}`),
      );
    return this.#submissions.value(valueEntry(id, value), patience);
  }

  read(patience: Patience): Promise<void> {
    return this.#submissions.read(patience);
  }

  ticket(peer: PeerId): Uint8Array {
    const { standing, epoch, members } = this.#epochs.head;
    if (standing !== "member" || this.#phase !== "running")
      throw new AgreementError("consensus.unready", "this member takes no part in the group");
    return encodeTicket({ group: this.#parts.group, peer, epoch, members });
  }

  async change(step: MembersStep, patience: Patience): Promise<void> {
    const { kind, peer } = step;
    if (kind === "add") {
      const ticket = decodeTicket(step.ticket);
      if (ticket?.group !== this.#parts.group || ticket.peer !== peer)
        throw new AgreementError("consensus.refused", "the ticket is not for this peer and group");
      if (ticket.epoch < this.#epochs.head.epoch - HANDOVERS_KEPT)
        throw new AgreementError("consensus.refused", "the ticket is too old");
    }
    const id = this.#parts.random.bytes(VALUE_ID_BYTES);
    await this.#submissions.change(changeEntry(id, { kind, peer }), patience);
  }

  status(): OrderingStatus {
    const { epoch, members } = this.#epochs.head;
    const replica = this.#epochs.run?.replica;
    return {
      protocol: "pbft",
      standing: this.#standing,
      leader: replica?.isActive === true ? replica.primary : undefined,
      // Views begin at 0, terms at 1.
      term: epoch * VIEWS_IN_TERM + Math.min((replica?.view ?? 0) + 1, VIEWS_IN_TERM - 1),
      position: this.#position,
      members,
      learners: [],
    };
  }

  /** What this member has seen since its process began. */
  counters(): PbftCounters {
    const { batches, values, refused, evidence } = this.#tally;
    const view = this.#epochs.run?.replica.view ?? 0;
    return { epoch: this.#epochs.head.epoch, view, batches, values, refused, evidence };
  }

  get #standing(): Standing {
    if (this.#phase === "lost") return "lost";
    const { standing } = this.#epochs.head;
    if (standing !== "member") return standing === "left" ? "left" : "learning";
    const replica = this.#epochs.run?.replica;
    if (replica?.isActive !== true) return "electing";
    return replica.primary === this.#parts.signer.peerId ? "leading" : "following";
  }

  #take(from: PeerId, bytes: Uint8Array): void {
    if (this.#phase !== "running") return;
    const envelope = decodeEnvelope(bytes);
    if (envelope === undefined) this.#refused(from, "malformed");
    else this.#epochs.take(from, envelope);
  }

  #refused(from: PeerId | undefined, reason: MemberRefusal): void {
    this.#tally.refuse(reason);
    if (from !== undefined && OFFENCES.has(reason)) this.#parts.channel.offence(from, reason);
  }

  /** @returns false when the epoch ends with this batch */
  #execute({ sequence, requests }: Execution): boolean {
    const { signer, hasher } = this.#parts;
    this.#position = this.#state.base + sequence;
    this.#tally.batches++;
    for (const { client, timestamp, operation } of requests) {
      for (const entry of decodeOperation(operation) ?? []) {
        const key = keyOf(entry, hasher);
        const outcome = this.#state.apply(entry, key);
        if (outcome.kind === "applied") this.#tally.values++;
        // Callers hear of a change when the epoch that it leads to has begun here.
        if (outcome.kind !== "later" && outcome.kind !== "changed")
          this.#submissions.executed(key, this.#position, outcome);
      }
      if (client === signer.peerId && !this.#state.isEnding)
        this.#submissions.concluded(timestamp, true);
    }
    if (!this.#state.isEnding) return true;
    this.#state.advance(sequence);
    this.#epochs.ended(sequence, this.#state.members, this.#state.snapshot());
    return false;
  }

  #install({ sequence, state }: Installation): void {
    this.#state.restore(state);
    this.#position = this.#state.base + sequence;
    this.#submissions.installed();
  }

  #replied(reply: Reply): void {
    if (reply.client !== this.#parts.signer.peerId) return;
    if (reply.kind === "too-old") this.#submissions.outran(reply.timestamp);
    else this.#submissions.concluded(reply.timestamp, true);
  }

  #switched(): void {
    const { standing, members } = this.#epochs.head;
    this.#submissions.epochEnded(members);
    if (standing === "left") this.#leave();
    this.#show();
  }

  #leave(): void {
    this.#submissions.fail(
      new AgreementError("consensus.stopped", "this member was taken out of the group"),
    );
  }

  #tickLater(): void {
    this.#timer = this.#parts.clock.setTimer("pbft.tick", this.#options.tickMs, () => {
      this.#tickLater();
      this.#submissions.tick();
      this.#epochs.tick();
    });
  }

  #lose(error: Error): void {
    if (this.#phase !== "running") return;
    this.#parts.logger.error("this member takes no part in the group any more", {
      reason: error.message,
    });
    this.#fall("lost");
    void this.#writer.close();
    this.#parts.onLost(error);
    this.#show();
  }

  #fall(phase: "lost" | "stopped"): void {
    this.#phase = phase;
    this.#timer?.cancel();
    this.#epochs.end();
    this.#parts.channel.close();
    this.#submissions.fail(new AgreementError("consensus.stopped", "this member stops"));
  }

  /** Tells when something else than the position has changed. */
  #show(): void {
    const { epoch } = this.#epochs.head;
    const view = this.#epochs.run?.replica.view;
    const standing = this.#standing;
    const shown = this.#shown;
    if (shown?.epoch === epoch && shown.view === view && shown.standing === standing) return;
    this.#shown = { epoch, view, standing };
    this.#parts.onChange();
  }
}
