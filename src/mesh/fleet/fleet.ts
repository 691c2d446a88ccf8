import type { Clock, Timer } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import {
  type DirectoryRules,
  messagesOnly,
  type Network,
  type NetworkError,
  type NetworkEvent,
  type NetworkGate,
  type Protocol,
} from "../../platform/network.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import type { MembershipEffects, MembershipInput } from "../membership/effects.ts";
import type { FleetSize } from "../membership/fleet-sample.ts";
import type { Member, MemberChange, MemberCounts } from "../membership/member.ts";
import { Membership } from "../membership/membership.ts";
import type { MembershipOptions, MembershipPace } from "../membership/options.ts";
import type { SelfDescription } from "../records/record-codec.ts";
import type { RecordVerifier } from "../records/record-verifier.ts";
import type { FleetMemory } from "./fleet-memory.ts";

/** Addresses are tried one after the other, and the one through a relay is the last. */
const CONNECT_TIMEOUT_MS = 30_000;
const LOOKUP_TIMEOUT_MS = 10_000;
/** Dials under way at once; what the membership wants beyond that counts as failed and comes up again. */
const DIALS_MAX = 8;
/** For the good-bye to be taken by every neighbour's link, at most. */
const GOODBYE_MS = 1_000;
/** For what a link has taken to leave. */
const FLUSH_MS = 100;
const REMEMBER_INTERVAL_MS = 600_000;
const DIRECTORY_INTERVAL_MS = 900_000;

/** Carries probes, gossip and comparisons of tables. */
export const MEMBERSHIP_PROTOCOL: Protocol = {
  id: "/agent-mesh/membership/1.0.0",
  messageBytesMax: 65_536,
  queueBytesMax: 524_288,
  requestsInFlightMax: 1,
};

/** Without the timestamp, which the runner knows. */
type Input = MembershipInput extends infer Each
  ? Each extends unknown
    ? Omit<Each, "nowMs">
    : never
  : never;

/** What a fleet view works with. */
export interface FleetParts {
  readonly network: Network;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly gate: NetworkGate;
  readonly verifier: RecordVerifier;
  readonly memory: FleetMemory;
  readonly options: MembershipOptions;
  /** Of this start. */
  readonly epoch: number;
  readonly self: SelfDescription;
  /** Records kept from earlier starts. */
  readonly remembered: readonly Uint8Array[];
  /** Whether to keep any for the next one. */
  readonly remember: boolean;
  /** Whether to link to nodes that only neighbours told of. */
  readonly peerExchange: boolean;
  onChange(change: MemberChange): void;
}

/**
 * Performs what the membership wants done: messages over links, links opened and closed, and what was learnt kept
 * for the next start.
 */
export class Fleet {
  readonly #parts: FleetParts;
  readonly #membership: Membership;
  #tick: Timer | undefined;
  /** What the timer is set to; undefined when it has fired. */
  #nextTickAtMs: number | undefined;
  #remember: Timer | undefined;
  #directory: Timer | undefined;
  #dials = 0;
  #stopped = false;
  #keptEpoch: number;
  /** Linked nodes that do not speak of membership: libp2p nodes of other programs, which are welcome all the same. */
  readonly #foreign = new Set<PeerId>();
  /** Who was met otherwise than through neighbours' tales; kept only where those do not count. */
  readonly #met = new Set<PeerId>();

  constructor(parts: FleetParts) {
    const { signer, random, verifier, options, epoch, self, remembered, network, clock } = parts;
    this.#parts = parts;
    this.#keptEpoch = epoch;
    for (const bytes of remembered) {
      const record = verifier.verify(bytes);
      if (typeof record !== "string") this.#meet(record.peerId);
    }
    this.#membership = new Membership({
      signer,
      random,
      verifier,
      options,
      epoch,
      self,
      remembered,
      startMs: clock.monotonicMs(),
    });
    network.serve(MEMBERSHIP_PROTOCOL, {
      message: (from, bytes) => {
        this.#naturalize(from);
        this.#input({ kind: "message", from, bytes });
      },
      request: messagesOnly("membership"),
    });
  }

  /** Begins to probe, to gossip and to look for neighbours. */
  start(): void {
    this.#input({ kind: "tick" });
    if (this.#parts.remember) this.#rememberLater();
    if (this.#parts.network.directory !== undefined) this.#publishLater(5_000);
  }

  /** Says good-bye, and keeps what the next start can use. @throws StoreError */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    await this.#sayGoodbye();
    this.#tick?.cancel();
    this.#remember?.cancel();
    this.#directory?.cancel();
    if (this.#parts.remember) await this.#keep();
  }

  /** Passes on what the network tells. */
  take(event: NetworkEvent): void {
    switch (event.kind) {
      case "link-up":
        this.#meet(event.link.peer);
        this.#input({ kind: "link-up", peer: event.link.peer, direction: event.link.direction });
        break;
      case "link-down":
        if (!this.#foreign.delete(event.peer)) this.#input({ kind: "link-down", peer: event.peer });
        break;
      case "discovered":
        this.#meet(event.peer);
        this.#input({ kind: "discovered", peer: event.peer, addresses: event.addresses });
        break;
      case "addresses":
        break;
    }
  }

  /**
   * The agent has something else to tell of itself.
   * @param slow it may wait until the fleet is told anyway
   * @throws RangeError when it is longer than others would take
   */
  describe(self: SelfDescription, slow: boolean): void {
    if (!this.#stopped) this.#input({ kind: "self-changed", self, slow });
  }

  setPace(pace: MembershipPace): void {
    if (this.#stopped) return;
    const atMs = this.#membership.setPace(pace, this.#parts.clock.monotonicMs());
    this.#tickAt(atMs);
  }

  /** Every agent known, this one too. */
  members(): Iterable<Member> {
    return this.#membership.members();
  }

  member(peer: PeerId): Member | undefined {
    return this.#membership.member(peer);
  }

  /** This agent. */
  get self(): PeerId {
    return this.#parts.network.self;
  }

  /** The table is full: there may be agents beyond those in it. */
  isPartial(): boolean {
    return this.#membership.isPartial;
  }

  counts(): MemberCounts {
    return this.#membership.counts();
  }

  /** How many agents there are, those beyond the table too. */
  size(): FleetSize {
    return this.#membership.fleetSize(this.#parts.clock.monotonicMs());
  }

  /** A uniform sample of the fleet. */
  sample(): readonly PeerId[] {
    return this.#membership.sample(this.#parts.clock.monotonicMs());
  }

  /** Opens a link for a while. @returns whether there was none before @throws NetworkError */
  async linkFor(peer: PeerId, told: readonly string[]): Promise<boolean> {
    if (this.#parts.network.links().some((link) => link.peer === peer)) return false;
    await this.link(peer, told);
    return true;
  }

  /** Closes a link that is not needed any more, so that nobody takes its end for a failure. */
  part(peer: PeerId): void {
    this.#input({ kind: "part", peer });
  }

  /** What gossip told that changed nothing, by kind: copies, records older than those known, …. */
  idleGossip(): Readonly<Record<string, number>> {
    return { ...this.#membership.counters() };
  }

  /** 0: everybody who was there lately still is; 1: nobody. */
  partitionScore(): number {
    return this.#membership.partitionScore(this.#parts.clock.monotonicMs());
  }

  /**
   * Opens a link to an agent, over the addresses known or found.
   * @param told where others say that it is, for one that is no member
   * @throws NetworkError
   */
  async link(peer: PeerId, told?: readonly string[]): Promise<void> {
    const { network } = this.#parts;
    if (network.links().some((link) => link.peer === peer)) return;
    const addresses =
      this.#membership.member(peer)?.record.addresses ?? told ?? (await this.#find(peer));
    await network.connect({ peer, addresses }, { timeoutMs: CONNECT_TIMEOUT_MS });
  }

  #input(input: Input): void {
    if (this.#stopped) return;
    const nowMs = this.#parts.clock.monotonicMs();
    this.#perform(this.#membership.step({ ...input, nowMs }));
  }

  #perform(effects: MembershipEffects): void {
    const { gate, network } = this.#parts;
    const parting = new Map<PeerId, Promise<void>>();
    for (const { to, bytes } of effects.send)
      parting.set(
        to,
        network
          .send(to, MEMBERSHIP_PROTOCOL, bytes)
          .catch((error: NetworkError) => this.#unsent(to, error)),
      );
    for (const change of effects.changes) this.#parts.onChange(change);
    for (const { peer, kind } of effects.offences) gate.offence(peer, kind);
    for (const { peer, addresses } of effects.connect) {
      const mayDial = this.#parts.peerExchange || this.#met.has(peer);
      if (mayDial && !this.#foreign.has(peer)) void this.#connect(peer, addresses);
      else this.#notNow(peer);
    }
    for (const { peer } of effects.disconnect) void this.#part(peer, parting.get(peer));
    this.#tickAt(effects.nextTickAtMs);
    const { epoch } = this.#membership.self;
    if (epoch > this.#keptEpoch) void this.#keepEpoch(epoch);
  }

  /** Closes a link once what was said last has left: otherwise the other side takes the end for a failure. */
  async #part(peer: PeerId, said: Promise<void> | undefined): Promise<void> {
    const { clock, network, logger } = this.#parts;
    await said;
    await new Promise<void>((resolve) => {
      clock.setTimer("mesh.part", FLUSH_MS, resolve);
    });
    await network
      .disconnect(peer)
      .catch((error: unknown) => logger.debug("could not hang up", { peer, error }));
  }

  /** A good-bye that is still in some buffer when the link closes makes the agent dead instead of gone. */
  async #sayGoodbye(): Promise<void> {
    const { clock, network } = this.#parts;
    const { send } = this.#membership.step({ kind: "leave", nowMs: clock.monotonicMs() });
    this.#stopped = true;
    if (send.length === 0) return;
    const said = Promise.allSettled(
      send.map(({ to, bytes }) => network.send(to, MEMBERSHIP_PROTOCOL, bytes)),
    );
    await new Promise<void>((resolve) => {
      clock.setTimer("mesh.good-bye", GOODBYE_MS, resolve);
      void said.then(() => clock.setTimer("mesh.good-bye", FLUSH_MS, resolve));
    });
  }

  #tickAt(atMs: number): void {
    if (atMs === this.#nextTickAtMs) return;
    this.#nextTickAtMs = atMs;
    this.#tick?.cancel();
    if (atMs === Number.POSITIVE_INFINITY) return;
    const { clock } = this.#parts;
    const waitMs = Math.max(1, atMs - clock.monotonicMs());
    this.#tick = clock.setTimer("mesh.membership", waitMs, () => {
      this.#nextTickAtMs = undefined;
      this.#input({ kind: "tick" });
    });
  }

  /** Membership counts on messages as little as UDP does: who can not be sent to does not answer either. */
  #unsent(peer: PeerId, error: NetworkError): void {
    if (error.code === "network.unsupported" && !this.#foreign.has(peer)) {
      // It can not answer, so nothing must follow from its silence.
      this.#foreign.add(peer);
      this.#input({ kind: "link-down", peer });
    }
    this.#parts.logger.debug("a membership message was not sent", { peer, code: error.code });
  }

  async #connect(peer: PeerId, addresses: readonly string[]): Promise<void> {
    const { network } = this.#parts;
    if (this.#dials >= DIALS_MAX) {
      this.#notNow(peer);
      return;
    }
    this.#dials++;
    try {
      await network.connect({ peer, addresses }, { timeoutMs: CONNECT_TIMEOUT_MS });
    } catch {
      this.#input({ kind: "connect-failed", peer });
    } finally {
      this.#dials--;
    }
  }

  /** In a turn of its own: the membership is still busy with the step that asked. */
  #notNow(peer: PeerId): void {
    this.#parts.clock.setTimer("mesh.dial-later", 1, () =>
      this.#input({ kind: "connect-failed", peer }),
    );
  }

  /** A program that was linked as something else has become an agent. */
  #naturalize(peer: PeerId): void {
    if (!this.#foreign.delete(peer)) return;
    const link = this.#parts.network.links().find((link) => link.peer === peer);
    if (link !== undefined) this.#input({ kind: "link-up", peer, direction: link.direction });
  }

  #meet(peer: PeerId): void {
    if (this.#parts.peerExchange || this.#met.size >= this.#parts.options.membersMax) return;
    this.#met.add(peer);
  }

  async #find(peer: PeerId): Promise<readonly string[]> {
    const { network, verifier } = this.#parts;
    const bytes = await network.directory?.find(peer, { timeoutMs: LOOKUP_TIMEOUT_MS });
    if (bytes === undefined) return [];
    const record = verifier.verify(bytes);
    return typeof record === "string" || record.peerId !== peer ? [] : record.addresses;
  }

  #publishLater(waitMs: number): void {
    const { clock, network, logger } = this.#parts;
    this.#directory = clock.setTimer("mesh.directory", waitMs, () => {
      const record = this.#membership.self.bytes;
      network.directory?.publish(record, { timeoutMs: LOOKUP_TIMEOUT_MS }).then(
        () => this.#publishLater(DIRECTORY_INTERVAL_MS),
        (error: NetworkError) => {
          logger.debug("the own record is not in the directory yet", { code: error.code });
          this.#publishLater(30_000);
        },
      );
    });
  }

  #rememberLater(): void {
    const { clock, logger } = this.#parts;
    this.#remember = clock.setTimer("mesh.remember", REMEMBER_INTERVAL_MS, () => {
      this.#keep().catch((error: unknown) =>
        logger.warn("the addresses of neighbours could not be kept", { error }),
      );
      this.#rememberLater();
    });
  }

  /** Neighbours first: their addresses work. */
  async #keep(): Promise<void> {
    const { network, memory } = this.#parts;
    const linked = new Set(network.links().map(({ peer }) => peer));
    const records = new Map<PeerId, Uint8Array>();
    const members = [...this.#membership.members()]
      .filter(({ record }) => record.peerId !== network.self && record.addresses.length > 0)
      .sort(
        (a, b) =>
          Number(linked.has(b.record.peerId)) - Number(linked.has(a.record.peerId)) ||
          b.heardOfAtMs - a.heardOfAtMs,
      );
    for (const { record } of members) records.set(record.peerId, record.bytes);
    await memory.keep(records);
  }

  async #keepEpoch(epoch: number): Promise<void> {
    this.#keptEpoch = epoch;
    try {
      await this.#parts.memory.keepEpoch(epoch);
    } catch (error) {
      this.#parts.logger.warn("the epoch could not be kept", { error });
    }
  }
}

/** @returns what a directory has to know of records */
export function directoryRules(verifier: RecordVerifier): DirectoryRules {
  const read = (bytes: Uint8Array) => {
    const record = verifier.verify(bytes);
    return typeof record === "string" ? undefined : record;
  };
  return {
    valid: (peer, bytes) => read(bytes)?.peerId === peer,
    newest: (records) => {
      let newest = 0;
      records.forEach((bytes, at) => {
        const [a, b] = [read(bytes), read(records[newest] ?? bytes)];
        if (a === undefined || b === undefined) return;
        if (a.epoch > b.epoch || (a.epoch === b.epoch && a.sequence > b.sequence)) newest = at;
      });
      return newest;
    },
  };
}
