import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import {
  messagesOnly,
  type Network,
  type NetworkError,
  type NetworkEvent,
  type NetworkGate,
  type Protocol,
} from "../../platform/network.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import { WakeUp } from "../../platform/wake-up.ts";
import type { MembershipEffects, MembershipInput } from "../membership/effects.ts";
import type { FleetSize } from "../membership/fleet-sample.ts";
import type { Member, MemberChange, MemberCounts } from "../membership/member.ts";
import { Membership } from "../membership/membership.ts";
import type { MembershipOptions, MembershipPace } from "../membership/options.ts";
import type { SelfDescription } from "../records/record-codec.ts";
import type { RecordVerifier } from "../records/record-verifier.ts";
import { FleetKeeper } from "./fleet-keeper.ts";
import type { FleetMemory } from "./fleet-memory.ts";
import { CONNECT_TIMEOUT_MS, MemberDialer } from "./member-dialer.ts";
import { Parting } from "./parting.ts";
import { RecordDirectory } from "./record-directory.ts";

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
  readonly #dialer: MemberDialer;
  readonly #parting: Parting;
  readonly #keeper: FleetKeeper;
  readonly #directory: RecordDirectory;
  readonly #tick: WakeUp;
  #stopped = false;
  /** Linked nodes that do not speak of membership: libp2p nodes of other programs, which are welcome all the same. */
  readonly #foreign = new Set<PeerId>();

  constructor(parts: FleetParts) {
    const { signer, random, verifier, options, epoch, self, remembered, network, clock } = parts;
    this.#parts = parts;
    this.#dialer = new MemberDialer({
      ...parts,
      membersMax: options.membersMax,
      failed: (peer) => this.#input({ kind: "connect-failed", peer }),
    });
    this.#parting = new Parting(parts);
    this.#tick = new WakeUp(clock, "mesh.membership", () => this.#input({ kind: "tick" }));
    for (const bytes of remembered) {
      const record = verifier.verify(bytes);
      if (typeof record !== "string") this.#dialer.meet(record.peerId);
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
    this.#keeper = new FleetKeeper({ ...parts, members: () => this.#membership.members() });
    this.#directory = new RecordDirectory({ ...parts, own: () => this.#membership.self.bytes });
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
    this.#keeper.start();
    this.#directory.start();
  }

  /** Says good-bye, and keeps what the next start can use. @throws StoreError */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    await this.#sayGoodbye();
    this.#tick.cancel();
    this.#directory.stop();
    await this.#keeper.stop();
  }

  /** Passes on what the network tells. */
  take(event: NetworkEvent): void {
    switch (event.kind) {
      case "link-up":
        this.#dialer.meet(event.link.peer);
        this.#input({ kind: "link-up", peer: event.link.peer, direction: event.link.direction });
        break;
      case "link-down":
        if (!this.#foreign.delete(event.peer)) this.#input({ kind: "link-down", peer: event.peer });
        break;
      case "discovered":
        this.#dialer.meet(event.peer);
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
    this.#tick.at(this.#membership.setPace(pace, this.#parts.clock.monotonicMs()));
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
  async linkFor(peer: PeerId, told?: readonly string[]): Promise<boolean> {
    if (this.#parts.network.links().some((link) => link.peer === peer)) return false;
    await this.link(peer, told);
    return true;
  }

  /** Members that this agent has to know however large the fleet is, in place of those before. */
  seek(peers: readonly PeerId[]): void {
    this.#input({ kind: "seek", peers });
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
      this.#membership.member(peer)?.record.addresses ?? told ?? (await this.#directory.find(peer));
    await network.connect({ peer, addresses }, { timeoutMs: CONNECT_TIMEOUT_MS });
  }

  #input(input: Input): void {
    if (this.#stopped) return;
    const nowMs = this.#parts.clock.monotonicMs();
    this.#perform(this.#membership.step({ ...input, nowMs }));
  }

  #perform(effects: MembershipEffects): void {
    const { gate, network } = this.#parts;
    // First: whoever hears of a change may have something to say at once, and then the next tick is another one.
    this.#tick.at(effects.nextTickAtMs);
    const sent = effects.send.map(({ to, bytes }) =>
      network
        .send(to, MEMBERSHIP_PROTOCOL, bytes)
        .catch((error: NetworkError) => this.#unsent(to, error)),
    );
    for (const change of effects.changes) this.#parts.onChange(change);
    for (const { peer, kind } of effects.offences) gate.offence(peer, kind);
    for (const { peer, addresses } of effects.connect) {
      if (this.#foreign.has(peer)) this.#dialer.notNow(peer);
      else void this.#dialer.dial(peer, addresses);
    }
    for (const { peer } of effects.disconnect) {
      const last = sent[effects.send.findLastIndex(({ to }) => to === peer)];
      void this.#parting.hangUp(peer, last);
    }
    this.#keeper.reached(this.#membership.self.epoch);
  }

  async #sayGoodbye(): Promise<void> {
    const { clock, network } = this.#parts;
    const { send } = this.#membership.step({ kind: "leave", nowMs: clock.monotonicMs() });
    this.#stopped = true;
    if (send.length === 0) return;
    await this.#parting.goodbye(
      send.map(({ to, bytes }) => network.send(to, MEMBERSHIP_PROTOCOL, bytes)),
    );
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

  /** A program that was linked as something else has become an agent. */
  #naturalize(peer: PeerId): void {
    if (!this.#foreign.delete(peer)) return;
    const link = this.#parts.network.links().find((link) => link.peer === peer);
    if (link !== undefined) this.#input({ kind: "link-up", peer, direction: link.direction });
  }
}
