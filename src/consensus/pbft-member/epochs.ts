import type { StoreEntry, StoreOperation } from "../../platform/key-value-store.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { OrderingParts } from "../ordering/ordering.ts";
import { signerCredentials } from "../pbft/credentials.ts";
import { encodeSnapshot } from "../pbft/durable.ts";
import type { Evidence } from "../pbft/evidence.ts";
import { Group } from "../pbft/group.ts";
import { KEYS } from "../pbft/keys.ts";
import { PbftReplica } from "../pbft/replica.ts";
import { genesisSnapshot } from "../pbft/state.ts";
import type { MemberRefusal } from "./counters.ts";
import { type Envelope, encodeEnvelope } from "./envelope.ts";
import { EpochRun, type EpochRunParts } from "./epoch-run.ts";
import type { Head, KeptHandover, KeptRecords, MemberDisk } from "./member-disk.ts";
import type { PbftMemberOptions } from "./options.ts";
import { Pace } from "./pace.ts";
import type { RecordWriter } from "./record-writer.ts";
import { HANDOVERS_KEPT, Succession } from "./succession.ts";

/** What a member goes on from. */
export interface Loaded {
  readonly disk: MemberDisk;
  readonly records: KeptRecords;
  /** What the core kept in the epoch that runs. */
  readonly current: readonly StoreEntry[];
  /** And in the one before, while its end is not proven. */
  readonly previous: readonly StoreEntry[] | undefined;
}

/** What the epochs of a member are made of. */
export interface EpochsParts {
  readonly ordering: Pick<
    OrderingParts,
    "group" | "signer" | "hasher" | "clock" | "channel" | "logger"
  >;
  readonly options: PbftMemberOptions;
  readonly loaded: Loaded;
  readonly writer: RecordWriter;
  /** What the core of the epoch that runs wants to be done. */
  readonly core: Pick<
    EpochRunParts,
    "execute" | "state" | "install" | "replied" | "stepped" | "failed"
  >;
  readonly refused: (from: PeerId | undefined, reason: MemberRefusal) => void;
  readonly accused: (epoch: number, accused: PeerId | undefined, evidence: Evidence) => void;
  /** Another epoch has begun, on disk as well; or this member was taken out. */
  readonly switched: () => void;
}

/**
 * The epochs of one member. The members of a core never change; so a change of members ends an epoch, and the next one begins
 * with a core of its own, from the state in which the last one ended.
 */
export class Epochs {
  readonly #parts: EpochsParts;
  readonly #disk: MemberDisk;
  readonly #succession: Succession;
  readonly #asks: Pace;
  #head: Head;
  #run: EpochRun | undefined;
  /** Of the epoch before: it answers those who are behind. */
  #retired: EpochRun | undefined;
  #isEnded = false;
  /** The end of this epoch, which others have reached. */
  #following: { readonly kept: KeptHandover; readonly fromMs: number } | undefined;

  constructor(parts: EpochsParts) {
    const { ordering, options, loaded, refused } = parts;
    const { head, handovers } = loaded.records;
    this.#parts = parts;
    this.#disk = loaded.disk;
    this.#head = head;
    this.#asks = new Pace(options.handoverEveryMs);
    const succession = {
      ...ordering,
      everyMs: options.handoverEveryMs,
      nowMs: () => ordering.clock.monotonicMs(),
      send: (to: PeerId, bytes: Uint8Array) => this.#send(to, bytes),
      proven: (kept: KeptHandover, isBehind: boolean) => this.#proven(kept, isBehind),
      refused,
    };
    this.#succession = new Succession(succession, head.epoch, head.members, handovers);
  }

  get head(): Head {
    return this.#head;
  }

  /** The core at work; undefined while this member takes no part. */
  get run(): EpochRun | undefined {
    return this.#run;
  }

  start(): void {
    const { records, current, previous } = this.#parts.loaded;
    const { epoch, standing, genesisBefore } = this.#head;
    const last = records.handovers.at(-1);
    if (previous !== undefined && last !== undefined) {
      this.#retired = this.#make(epoch - 1, last.voters, genesisBefore, previous);
      this.#retired?.startRetired();
    } else this.#sweep();
    if (standing === "member") this.#begin(current);
  }

  /** Nothing is said any more. */
  end(): void {
    this.#isEnded = true;
    this.#run?.end();
    this.#retired?.end();
  }

  take(from: PeerId, envelope: Envelope): void {
    switch (envelope.kind) {
      case "replica":
        this.#takeWord(from, envelope);
        break;
      case "handovers":
        this.#succession.take(from, envelope.handovers);
        break;
      case "ask":
        this.#succession.answer(from, envelope.epoch);
        break;
    }
  }

  tick(): void {
    this.#succession.tell();
    if (this.#head.standing === "joining") for (const peer of this.#head.members) this.#ask(peer);
    const { ordering, options } = this.#parts;
    const following = this.#following;
    if (following === undefined) return;
    if (ordering.clock.monotonicMs() - following.fromMs >= options.graceMs)
      this.#follow(following.kept);
  }

  /**
   * The members change after this batch: what was decided behind it counts no more.
   * @param members of the next epoch @param state that it begins with
   */
  ended(sequence: number, members: readonly PeerId[], state: Uint8Array): void {
    const { hasher, signer, logger } = this.#parts.ordering;
    const { epoch } = this.#head;
    const snapshot = genesisSnapshot(state, hasher, this.#parts.options.pbft);
    const handover = { epoch, sequence, members, genesis: snapshot.digest };
    const other = this.#succession.provenEnd;
    if (other !== undefined && other.signed.handover.genesis !== snapshot.digest) {
      logger.error("the state machine of this member does not do the same as those of others");
      this.#follow(other);
      return;
    }
    this.#run?.retire();
    this.#retired = this.#run;
    this.#run = undefined;
    const kept = this.#succession.reached(handover);
    const isMember = members.includes(signer.peerId);
    const genesis = [KEYS.state, encodeSnapshot(snapshot)] as const;
    const records: readonly StoreOperation[] = isMember
      ? [{ type: "put", key: genesis[0], value: genesis[1] }]
      : [];
    this.#switch(kept, isMember ? "member" : "left", records, () => {
      this.#succession.tell();
      if (isMember) this.#begin([genesis]);
      if (this.#succession.isProven(epoch)) this.#retiredEnds();
    });
  }

  #takeWord(from: PeerId, { epoch, bytes }: Extract<Envelope, { kind: "replica" }>): void {
    const current = this.#head.epoch;
    if (epoch === current) this.#run?.take(from, bytes);
    else if (epoch > current) {
      this.#parts.refused(from, "coming-epoch");
      this.#ask(from);
    } else {
      if (this.#retired?.epoch === epoch) this.#retired.take(from, bytes);
      else this.#parts.refused(from, "past-epoch");
      this.#succession.answer(from, epoch);
    }
  }

  /** How did this epoch end? */
  #ask(peer: PeerId): void {
    if (!this.#asks.isDue(peer, this.#parts.ordering.clock.monotonicMs())) return;
    this.#send(peer, encodeEnvelope({ kind: "ask", epoch: this.#head.epoch }));
  }

  /** What can not be sent is lost, as on the way: it is said again. */
  #send(to: PeerId, bytes: Uint8Array): void {
    this.#parts.ordering.channel.send(to, bytes).catch(() => undefined);
  }

  /** @returns undefined when the records of the core are damaged */
  #make(
    epoch: number,
    members: readonly PeerId[],
    genesis: string,
    kept: Iterable<StoreEntry>,
  ): EpochRun | undefined {
    const { ordering, options, writer, core, refused, accused } = this.#parts;
    const { group: name, signer, hasher, clock } = ordering;
    const group = new Group(`${name}/${epoch}`, members, hasher, genesis);
    const credentials = signerCredentials(signer, (client) => group.indexOf(client) !== undefined);
    try {
      return new EpochRun({
        ...core,
        epoch,
        group,
        replica: new PbftReplica({ group, credentials, hasher, options: options.pbft, kept }),
        others: group.members.filter((peer) => peer !== signer.peerId),
        clock,
        disk: this.#disk,
        writer,
        send: (to, bytes) => this.#send(to, bytes),
        refused,
        accused: (evidence) => accused(epoch, group.members[evidence.accused], evidence),
      });
    } catch (error) {
      core.failed(error as Error);
      return undefined;
    }
  }

  /** The epoch of the head begins, or goes on. */
  #begin(kept: Iterable<StoreEntry>): void {
    if (this.#isEnded) return;
    const { epoch, members, genesis } = this.#head;
    this.#run = this.#make(epoch, members, genesis, kept);
    this.#run?.start();
  }

  /** The end of an epoch is proven by others. */
  #proven(kept: KeptHandover, isBehind: boolean): void {
    const { epoch } = kept.signed.handover;
    if (epoch < this.#head.epoch) {
      this.#parts.writer.push([this.#disk.handoverRecord(kept)], () => this.#retiredEnds());
      return;
    }
    // Whoever takes part is likely to get there by itself in a moment, and has the state then.
    if (isBehind || this.#run?.replica.isBehind !== false) this.#follow(kept);
    else this.#following ??= { kept, fromMs: this.#parts.ordering.clock.monotonicMs() };
  }

  /** Goes into the next epoch on the word of others, without the state that it begins with. */
  #follow(kept: KeptHandover): void {
    const { epoch, members } = kept.signed.handover;
    if (epoch !== this.#head.epoch) return;
    const isMember = members.includes(this.#parts.ordering.signer.peerId);
    const standing = this.#head.standing === "joining" ? "joining" : "left";
    this.#run?.end();
    this.#run = undefined;
    this.#succession.follow(kept);
    this.#switch(kept, isMember ? "member" : standing, [], () => {
      // Others may have gone on meanwhile.
      if (isMember && this.#head.epoch === epoch + 1) this.#begin([]);
      this.#retiredEnds();
    });
  }

  /** Puts the new epoch on record, and goes on from there. */
  #switch(
    kept: KeptHandover,
    standing: Head["standing"],
    records: readonly StoreOperation[],
    done: () => void,
  ): void {
    const { handover } = kept.signed;
    const { members, genesis } = handover;
    const epoch = handover.epoch + 1;
    this.#following = undefined;
    this.#head = { standing, epoch, members, genesis, genesisBefore: this.#head.genesis };
    const operations = [
      this.#disk.headRecord(this.#head),
      this.#disk.handoverRecord(kept),
      ...this.#disk.epochOperations(epoch, records),
    ];
    if (epoch > HANDOVERS_KEPT)
      operations.push(this.#disk.noHandoverRecord(epoch - HANDOVERS_KEPT - 1));
    this.#parts.writer.push(operations, () => {
      done();
      this.#parts.switched();
    });
  }

  /** f + 1 names lead on whoever is behind: the core of the epoch before is needed no more. */
  #retiredEnds(): void {
    this.#retired?.end();
    this.#retired = undefined;
    this.#sweep();
  }

  #sweep(): void {
    const { epoch } = this.#head;
    this.#disk.dropEpochsBefore(epoch).catch((error: unknown) =>
      this.#parts.ordering.logger.warn("records of a past epoch could not be taken away", {
        reason: (error as Error).message,
      }),
    );
  }
}
