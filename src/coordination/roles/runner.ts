import type { MemberChange } from "../../mesh/membership/member.ts";
import type { RecordVerifier } from "../../mesh/records/record-verifier.ts";
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
import type { FleetMembers, RoleChange, RoleEffects, RoleInput } from "./effects.ts";
import type { InForce } from "./mandate.ts";
import { MESSAGE_BYTES_MAX } from "./message-codec.ts";
import { type NegotiationCounters, RoleNegotiation } from "./negotiation.ts";
import type { RoleOptions } from "./options.ts";

/** For the last words to be taken by every neighbour's link, at most. */
const GOODBYE_MS = 500;

/** Carries assignments and their makers' signs of life. */
export const ROLES_PROTOCOL: Protocol = {
  id: "/agent-mesh/roles/1.0.0",
  messageBytesMax: MESSAGE_BYTES_MAX,
  queueBytesMax: 131_072,
  requestsInFlightMax: 1,
};

/** Without the timestamp, which the runner knows. */
type Input = RoleInput extends infer Each
  ? Each extends unknown
    ? Omit<Each, "nowMs">
    : never
  : never;

/** What a runner works with. */
export interface RunnerParts {
  readonly network: Pick<Network, "serve" | "send" | "links">;
  readonly signer: Signer;
  readonly verifier: RecordVerifier;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly gate: Pick<NetworkGate, "offence">;
  readonly members: FleetMembers;
  readonly options: RoleOptions;
  onChange(change: RoleChange): void;
}

/** Performs what the negotiation wants done: messages over links, and a tick when one is due. */
export class RolesRunner {
  readonly #parts: RunnerParts;
  readonly #negotiation: RoleNegotiation;
  readonly #linked = new Set<PeerId>();
  readonly #tick: WakeUp;
  #running = false;

  constructor(parts: RunnerParts) {
    const { network, clock } = parts;
    this.#parts = parts;
    this.#tick = new WakeUp(clock, "roles.tick", () => this.#input({ kind: "tick" }));
    this.#negotiation = new RoleNegotiation({ ...parts, startMs: clock.monotonicMs() });
    network.serve(ROLES_PROTOCOL, {
      message: (from, bytes) => {
        this.#link(from);
        this.#input({ kind: "message", from, bytes });
      },
      request: messagesOnly("roles"),
    });
  }

  /** Begins, once the members are known. */
  start(): void {
    this.#running = true;
    this.#input({ kind: "tick" });
    for (const { peer } of this.#parts.network.links()) this.#link(peer);
  }

  /** Gives up what this agent leads, and tells the neighbours. Idempotent. */
  async stop(): Promise<void> {
    if (!this.#running) return;
    const { clock, network } = this.#parts;
    const { send } = this.#negotiation.step({ kind: "leave", nowMs: clock.monotonicMs() });
    this.#running = false;
    this.#tick.cancel();
    if (send.length === 0) return;
    const said = Promise.allSettled(
      send.map(({ to, bytes }) => network.send(to, ROLES_PROTOCOL, bytes)),
    );
    await new Promise<void>((resolve) => {
      const timer = clock.setTimer("roles.good-bye", GOODBYE_MS, resolve);
      void said.then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  /** Passes on what the network tells. */
  take(event: NetworkEvent): void {
    if (event.kind === "link-up") this.#link(event.link.peer);
    if (event.kind === "link-down") this.#unlink(event.peer);
  }

  /** Passes on what happened to a member, once the members show it. */
  member({ peer, kind }: Pick<MemberChange, "peer" | "kind">): void {
    this.#input({ kind: "member", peer, change: kind });
  }

  /** @param factor 1 as in the options, more is slower */
  setPace(factor: number): void {
    this.#negotiation.setPace(factor);
  }

  get negotiation(): Pick<RoleNegotiation, "roles"> {
    return this.#negotiation;
  }

  inForce(): InForce | undefined {
    return this.#negotiation.inForce(this.#parts.clock.monotonicMs());
  }

  counters(): NegotiationCounters {
    return this.#negotiation.counters();
  }

  #link(peer: PeerId): void {
    if (!this.#running || this.#linked.has(peer)) return;
    this.#linked.add(peer);
    this.#input({ kind: "link-up", peer });
  }

  #unlink(peer: PeerId): void {
    if (this.#linked.delete(peer)) this.#input({ kind: "link-down", peer });
  }

  #input(input: Input): void {
    if (!this.#running) return;
    const nowMs = this.#parts.clock.monotonicMs();
    this.#perform(this.#negotiation.step({ ...input, nowMs }));
  }

  #perform({ send, changes, offences, nextTickAtMs }: RoleEffects): void {
    const { network, gate } = this.#parts;
    for (const { to, bytes } of send)
      network
        .send(to, ROLES_PROTOCOL, bytes)
        .catch((error: NetworkError) => this.#unsent(to, error));
    for (const change of changes) this.#parts.onChange(change);
    for (const { peer, kind } of offences) gate.offence(peer, kind);
    this.#tick.at(nextTickAtMs);
  }

  /** What got lost is made up for by the next comparison. A node that does not know roles is left alone until it speaks. */
  #unsent(peer: PeerId, error: NetworkError): void {
    if (error.code === "network.unsupported") this.#unlink(peer);
    this.#parts.logger.debug("a message about roles was not sent", { peer, code: error.code });
  }
}
