import type { Timer } from "../../platform/clock.ts";
import type { StoreEntry } from "../../platform/key-value-store.ts";
import type { PeerId } from "../../platform/signer.ts";
import type {
  MembersStep,
  Ordered,
  Ordering,
  OrderingParts,
  OrderingStatus,
  Standing,
} from "../ordering/ordering.ts";
import { VALUE_ID_BYTES } from "../ordering/recent-ids.ts";
import { AgreementError, type Patience } from "../ordering/waiting.ts";
import { requestSigner, signerCredentials } from "../pbft/credentials.ts";
import { encodeSnapshot } from "../pbft/durable.ts";
import type { Execution, Installation, RefusalReason, Reply } from "../pbft/effects.ts";
import { Group } from "../pbft/group.ts";
import { KEYS } from "../pbft/keys.ts";
import { PbftReplica } from "../pbft/replica.ts";
import { makeRequest } from "../pbft/request.ts";
import { genesisSnapshot } from "../pbft/state.ts";
import { type PbftCounters, Tally } from "./counters.ts";
import { decodeEnvelope, encodeEnvelope } from "./envelope.ts";
import { EpochRun } from "./epoch-run.ts";
import type { Handover } from "./handover.ts";
import type { Head, KeptHandover, KeptRecords, MemberDisk } from "./member-disk.ts";
import { decodeOperation } from "./operation.ts";
import type { PbftMemberOptions } from "./options.ts";
import { Pace } from "./pace.ts";
import { RecordWriter } from "./record-writer.ts";
import { ReplicatedState } from "./replicated-state.ts";
import { Submissions } from "./submissions.ts";
import { HANDOVERS_KEPT, Succession } from "./succession.ts";
import { decodeTicket, encodeTicket } from "./ticket.ts";

/** Views that one epoch has in the number that tells of both. */
const VIEWS_IN_TERM = 65_536;
/** What only a peer that is not well says. */
const OFFENCES: ReadonlySet<RefusalReason> = new Set(["malformed", "oversized"]);

/** What a member goes on from. */
export interface Loaded {
  readonly disk: MemberDisk;
  readonly records: KeptRecords;
  /** What the core kept in the epoch that runs. */
  readonly current: readonly StoreEntry[];
  /** And in the one before, while its end is not proven. */
  readonly previous: readonly StoreEntry[] | undefined;
}

/**
 * One member of a PBFT group, running. The members of a core never change; so a change of members ends an *epoch*, and the
 * next one begins with a core of its own, from the state in which the last one ended.
 */
export class PbftMember implements Ordering {
  readonly #parts: OrderingParts;
  readonly #options: PbftMemberOptions;
  readonly #disk: MemberDisk;
  readonly #writer: RecordWriter;
  readonly #state: ReplicatedState;
  readonly #succession: Succession;
  readonly #submissions: Submissions;
  readonly #tally = new Tally();
  readonly #asks: Pace;
  readonly #loaded: Loaded;
  #head: Head;
  #run: EpochRun | undefined;
  /** Of the epoch before: it answers those who are behind. */
  #retired: EpochRun | undefined;
  #position = 0;
  #following: { readonly kept: KeptHandover; readonly fromMs: number } | undefined;
  #timer: Timer | undefined;
  #phase: "new" | "running" | "lost" | "stopped" = "new";
  #shown:
    | { readonly epoch: number; readonly view: number | undefined; readonly standing: Standing }
    | undefined;

  constructor(parts: OrderingParts, options: PbftMemberOptions, loaded: Loaded) {
    const { group, machine, channel, signer, clock, random, logger, hasher } = parts;
    const { disk, records } = loaded;
    const nowMs = (): number => clock.monotonicMs();
    const send = (to: PeerId, bytes: Uint8Array): void => {
      // What can not be sent is lost, as on the way: the core makes up for it.
      channel.send(to, bytes).catch(() => undefined);
    };
    this.#parts = parts;
    this.#options = options;
    this.#loaded = loaded;
    this.#disk = disk;
    this.#head = records.head;
    this.#state = new ReplicatedState(machine, options.idsMax);
    this.#asks = new Pace(options.handoverEveryMs);
    this.#writer = new RecordWriter({
      disk,
      clock,
      random: random.fork("pbft.write"),
      logger,
      lost: (error) => this.#lose(error),
    });
    this.#succession = new Succession(
      {
        group,
        signer,
        hasher,
        everyMs: options.handoverEveryMs,
        nowMs,
        send,
        proven: (kept, isBehind) => this.#proven(kept, isBehind),
        refused: (_from, reason) => this.#tally.refuse(reason),
      },
      this.#head.epoch,
      this.#head.members,
      records.handovers,
    );
    const sign = requestSigner(signer);
    this.#submissions = new Submissions({
      options,
      nowMs,
      timestamp: records.timestamp,
      reserve: (timestamp, done) => this.#writer.push([disk.timestampRecord(timestamp)], done),
      make: (timestamp, operation) =>
        this.#run &&
        makeRequest(this.#run.group, { client: signer.peerId, timestamp, operation }, sign).bytes,
      send: (request) => this.#run?.request(request),
      spread: (request) => this.#run?.spread(request),
      isDecided: (id) => this.#state.hasDecided(id),
      position: () => this.#position,
    });
  }

  start(): void {
    if (this.#phase !== "new") return;
    const { channel } = this.#parts;
    const { current, previous } = this.#loaded;
    this.#phase = "running";
    channel.listen((from, bytes) => this.#take(from, bytes));
    const { epoch, standing, genesisBefore } = this.#head;
    const last = this.#loaded.records.handovers.at(-1);
    if (previous !== undefined && last !== undefined) {
      this.#retired = this.#makeRun(epoch - 1, last.voters, genesisBefore, previous);
      this.#retired.startRetired();
    } else this.#sweep();
    if (standing === "left") this.#leave();
    if (standing === "member") this.#begin(current);
    this.#tickLater();
    this.#show();
  }

  async stop(): Promise<void> {
    if (this.#phase === "stopped") return;
    this.#fall("stopped");
    await this.#writer.close();
  }

  submit(
    value: Uint8Array,
    patience: Patience,
    id = this.#parts.random.bytes(VALUE_ID_BYTES),
  ): Promise<Ordered> {
    if (id.length !== VALUE_ID_BYTES)
      return Promise.reject(new RangeError(`an id has ${VALUE_ID_BYTES} bytes`));
    return this.#submissions.value(value, patience, id);
  }

  read(patience: Patience): Promise<void> {
    return this.#submissions.read(patience);
  }

  ticket(peer: PeerId): Uint8Array {
    const { standing, epoch, members } = this.#head;
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
      if (ticket.epoch < this.#head.epoch - HANDOVERS_KEPT)
        throw new AgreementError("consensus.refused", "the ticket is too old");
    }
    const id = this.#parts.random.bytes(VALUE_ID_BYTES);
    await this.#submissions.change({ kind, peer }, patience, id);
  }

  status(): OrderingStatus {
    const { epoch, members } = this.#head;
    const replica = this.#run?.replica;
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
    const view = this.#run?.replica.view ?? 0;
    return { epoch: this.#head.epoch, view, batches, values, refused, evidence };
  }

  get #standing(): Standing {
    if (this.#phase === "lost") return "lost";
    if (this.#head.standing !== "member")
      return this.#head.standing === "left" ? "left" : "learning";
    const replica = this.#run?.replica;
    if (replica?.isActive !== true) return "electing";
    return replica.primary === this.#parts.signer.peerId ? "leading" : "following";
  }

  #take(from: PeerId, bytes: Uint8Array): void {
    if (this.#phase !== "running") return;
    const envelope = decodeEnvelope(bytes);
    if (envelope === undefined) {
      this.#refused(from, "malformed");
      return;
    }
    const { epoch } = this.#head;
    switch (envelope.kind) {
      case "replica":
        if (envelope.epoch === epoch) this.#run?.take(from, envelope.bytes);
        else if (envelope.epoch < epoch) {
          if (this.#retired?.epoch === envelope.epoch) this.#retired.take(from, envelope.bytes);
          else this.#tally.refuse("past-epoch");
          this.#succession.answer(from, envelope.epoch);
        } else {
          this.#tally.refuse("coming-epoch");
          this.#ask(from);
        }
        break;
      case "handovers":
        this.#succession.take(from, envelope.handovers);
        break;
      case "ask":
        this.#succession.answer(from, envelope.epoch);
        break;
    }
  }

  /** How did this epoch end? */
  #ask(peer: PeerId): void {
    if (!this.#asks.isDue(peer, this.#parts.clock.monotonicMs())) return;
    const ask = encodeEnvelope({ kind: "ask", epoch: this.#head.epoch });
    this.#parts.channel.send(peer, ask).catch(() => undefined);
  }

  #refused(from: PeerId | undefined, reason: RefusalReason): void {
    this.#tally.refuse(reason);
    if (from !== undefined && OFFENCES.has(reason)) this.#parts.channel.offence(from, reason);
  }

  #makeRun(
    epoch: number,
    members: readonly PeerId[],
    genesis: string,
    kept: Iterable<StoreEntry>,
  ): EpochRun {
    const { group: name, signer, hasher, clock, channel } = this.#parts;
    const group = new Group(`${name}/${epoch}`, members, hasher, genesis);
    const credentials = signerCredentials(signer, (client) => group.indexOf(client) !== undefined);
    return new EpochRun({
      epoch,
      group,
      replica: new PbftReplica({ group, credentials, hasher, options: this.#options.pbft, kept }),
      clock,
      disk: this.#disk,
      writer: this.#writer,
      send: (to, bytes) => void channel.send(to, bytes).catch(() => undefined),
      execute: (execution) => this.#execute(execution),
      state: () => this.#state.snapshot(),
      install: (installation) => this.#install(installation),
      replied: (reply) => this.#replied(reply),
      refused: (from, reason) => this.#refused(from, reason),
      accused: (evidence) =>
        this.#tally.accuse({ epoch, accused: group.members[evidence.accused], evidence }),
      stepped: () => this.#show(),
      failed: (error) => this.#lose(error),
    });
  }

  /** The epoch of the head begins, or goes on. */
  #begin(kept: Iterable<StoreEntry>): void {
    const { epoch, members, genesis } = this.#head;
    try {
      this.#run = this.#makeRun(epoch, members, genesis, kept);
    } catch (error) {
      this.#lose(error as Error);
      return;
    }
    this.#run.start();
    this.#submissions.wake();
    this.#show();
  }

  #execute({ sequence, requests }: Execution): boolean {
    const { peerId } = this.#parts.signer;
    this.#position = this.#state.base + sequence;
    this.#tally.batches++;
    for (const { client, timestamp, operation } of requests) {
      for (const entry of decodeOperation(operation) ?? []) {
        const outcome = this.#state.apply(entry);
        if (outcome.kind === "applied") this.#tally.values++;
        // Callers hear of a change when the epoch that it leads to has begun here.
        if (outcome.kind !== "later" && outcome.kind !== "changed")
          this.#submissions.executed(entry.id, this.#position, outcome);
      }
      if (client === peerId && !this.#state.isEnding) this.#submissions.concluded(timestamp, true);
    }
    if (!this.#state.isEnding) return true;
    this.#endEpoch(sequence);
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

  /** The members change after this batch: what was decided behind it counts no more. */
  #endEpoch(sequence: number): void {
    const { hasher, signer } = this.#parts;
    const { epoch } = this.#head;
    const run = this.#run;
    if (run === undefined) return;
    this.#state.advance(sequence);
    const snapshot = genesisSnapshot(this.#state.snapshot(), hasher, this.#options.pbft);
    const { members } = this.#state;
    const handover: Handover = { epoch, sequence, members, genesis: snapshot.digest };
    const other = this.#succession.provenEnd;
    if (other !== undefined && other.signed.handover.genesis !== snapshot.digest) {
      this.#parts.logger.error("the state machine does not do the same as those of the others");
      this.#follow(other);
      return;
    }
    run.retire();
    this.#run = undefined;
    this.#retired = run;
    const kept = this.#succession.reached(handover);
    const isMember = members.includes(signer.peerId);
    this.#head = {
      standing: isMember ? "member" : "left",
      epoch: epoch + 1,
      members,
      genesis: snapshot.digest,
      genesisBefore: this.#head.genesis,
    };
    const genesis = [KEYS.state, encodeSnapshot(snapshot)] as const;
    const records = this.#disk.epochOperations(
      epoch + 1,
      isMember ? [{ type: "put", key: genesis[0], value: genesis[1] }] : [],
    );
    this.#switch(kept, [...records], () => {
      this.#succession.tell();
      if (isMember) this.#begin([genesis]);
      if (this.#succession.isProven(epoch)) this.#retireEnds();
    });
  }

  /** The end of an epoch is proven by others. */
  #proven(kept: KeptHandover, isBehind: boolean): void {
    const { epoch } = kept.signed.handover;
    if (epoch < this.#head.epoch) {
      this.#writer.push([this.#disk.handoverRecord(kept)], () => this.#retireEnds());
      return;
    }
    // Whoever takes part is likely to get there by itself in a moment, and to have the state then.
    if (this.#run?.replica.isBehind !== false || isBehind) this.#follow(kept);
    else this.#following ??= { kept, fromMs: this.#parts.clock.monotonicMs() };
  }

  /** Goes into the next epoch on the word of others, without the state that it begins with. */
  #follow(kept: KeptHandover): void {
    const { epoch, members, genesis } = kept.signed.handover;
    if (epoch !== this.#head.epoch) return;
    const isMember = members.includes(this.#parts.signer.peerId);
    const isJoining = this.#head.standing === "joining" && !isMember;
    this.#run?.end();
    this.#run = undefined;
    this.#succession.follow(kept);
    const standing = isMember ? "member" : isJoining ? "joining" : "left";
    const genesisBefore = this.#head.genesis;
    this.#head = { standing, epoch: epoch + 1, members, genesis, genesisBefore };
    this.#switch(kept, [], () => {
      if (this.#head.epoch !== epoch + 1) return;
      if (isMember) this.#begin([]);
      this.#retireEnds();
    });
  }

  /** Puts the new epoch on record, and goes on from there. */
  #switch(
    kept: KeptHandover,
    records: readonly Parameters<RecordWriter["push"]>[0][number][],
    done: () => void,
  ): void {
    const { epoch } = kept.signed.handover;
    this.#following = undefined;
    const operations = [
      this.#disk.headRecord(this.#head),
      this.#disk.handoverRecord(kept),
      ...records,
    ];
    if (epoch >= HANDOVERS_KEPT)
      operations.push(this.#disk.noHandoverRecord(epoch - HANDOVERS_KEPT));
    this.#writer.push(operations, () => {
      done();
      this.#submissions.epochEnded(this.#head.members);
      if (this.#head.standing === "left") this.#leave();
      this.#show();
    });
  }

  /** f + 1 names lead on whoever is behind: the core of the epoch before is needed no more. */
  #retireEnds(): void {
    this.#retired?.end();
    this.#retired = undefined;
    this.#sweep();
  }

  #sweep(): void {
    const { epoch, standing } = this.#head;
    this.#disk.dropEpochsBefore(standing === "left" ? epoch + 1 : epoch).catch((error: unknown) =>
      this.#parts.logger.warn("records of a past epoch could not be taken away", {
        reason: (error as Error).message,
      }),
    );
  }

  #leave(): void {
    this.#submissions.fail(
      new AgreementError("consensus.stopped", "this member was taken out of the group"),
    );
  }

  #tickLater(): void {
    const { clock } = this.#parts;
    this.#timer = clock.setTimer("pbft.tick", this.#options.tickMs, () => {
      this.#tickLater();
      this.#submissions.tick();
      this.#succession.tell();
      if (this.#head.standing === "joining") for (const peer of this.#head.members) this.#ask(peer);
      const following = this.#following;
      if (following === undefined) return;
      if (clock.monotonicMs() - following.fromMs >= this.#options.graceMs)
        this.#follow(following.kept);
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
    this.#run?.end();
    this.#retired?.end();
    this.#parts.channel.close();
    this.#submissions.fail(new AgreementError("consensus.stopped", "this member stops"));
  }

  /** Tells when something else than the position has changed. */
  #show(): void {
    const { epoch } = this.#head;
    const view = this.#run?.replica.view;
    const standing = this.#standing;
    const shown = this.#shown;
    if (shown?.epoch === epoch && shown.view === view && shown.standing === standing) return;
    this.#shown = { epoch, view, standing };
    this.#parts.onChange();
  }
}
