import type { DeviceView } from "../device/view.ts";
import type { Member } from "../mesh/membership/member.ts";
import type { MeshNode } from "../mesh/node.ts";
import type { HostCandidate } from "../mesh/relay/host-choice.ts";
import { NeighbourUplink } from "../mesh/relay/neighbour-uplink.ts";
import { type Offer, OfferPolicy, type WayOut, type Withdrawal } from "../mesh/relay/offer.ts";
import type { RelayOptions } from "../mesh/relay/options.ts";
import { RELAY_PROTOCOL } from "../mesh/relay/relay-codec.ts";
import { RelayHost } from "../mesh/relay/relay-host.ts";
import type { RelayStatus, RelayView } from "../mesh/relay/view.ts";
import type { Outbox } from "../outbox/outbox.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import type { EventType } from "../platform/event-sink.ts";
import type { KeyValueStore } from "../platform/key-value-store.ts";
import type { Logger } from "../platform/logger.ts";
import type { Random } from "../platform/random.ts";
import type { PeerId } from "../platform/signer.ts";
import type { EventLog } from "../telemetry/event-log.ts";
import type { GuestUpdates } from "../uplink/departures.ts";
import type { NeighbourUplinkSettings, UplinkOptions } from "../uplink/options.ts";
import type { UplinkStatus, UplinkView } from "../uplink/view.ts";

/** Others may relay, and be relayed for. */
export const RELAY_FEATURE = "relay";
/** Whether this agent relays is looked at anew when something happens that it depends on, and after so long at the latest. */
const LOOK_AGAIN_MS = 30_000;
const LOOK_AFTER: ReadonlySet<EventType> = new Set<EventType>([
  "uplink.up",
  "uplink.down",
  "uplink.took-over",
  "power.mode-changed",
  "resources.sampled",
]);
/** The fleet hears of it when its room is used by so much more or less. */
const LOAD_STEP_PERCENT = 20;

/** What relaying works with before there is a mesh. */
interface RelayPartParts {
  readonly self: PeerId;
  readonly agentId: string;
  readonly options: RelayOptions;
  readonly uplinks: readonly UplinkOptions[];
  readonly outbox: Outbox;
  readonly store: KeyValueStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly events: EventLog;
}

/** What it works with from then on. */
interface RelaySurroundings {
  readonly node: MeshNode;
  readonly uplinks: UplinkView;
  readonly device: DeviceView;
  /** Tells the fleet that this agent relays, or does no more. */
  readonly describe: () => void;
}

/** Relaying as a part of the agent: neighbours' ways through here, and this agent's ways through neighbours. */
export class RelayPart implements RelayView {
  readonly #parts: RelayPartParts;
  readonly #host: RelayHost | undefined;
  readonly #policy: OfferPolicy;
  readonly #ways = new Map<string, NeighbourUplink>();
  #around: RelaySurroundings | undefined;
  #offer: Offer | Withdrawal | undefined;
  #toldLoadPercent = 0;
  #timer: Timer | undefined;

  constructor(parts: RelayPartParts) {
    const { options, uplinks, outbox } = parts;
    this.#parts = parts;
    this.#policy = new OfferPolicy(options);
    if (!isRelayOn(options, uplinks)) return;
    this.#host = new RelayHost({
      ...parts,
      agentIdOf: (peer) => this.#around?.node.member(peer)?.record.agentId,
      lingerMs: () => outbox.wear.lingerMs,
    });
  }

  /** Updates of neighbours, where this agent may relay. */
  get guests(): { readonly updates: GuestUpdates; readonly ownWeight: number } | undefined {
    const { ownWeight } = this.#parts.options;
    return this.#host && { updates: this.#host.leases, ownWeight };
  }

  get features(): readonly string[] {
    return this.#host === undefined ? [] : [RELAY_FEATURE];
  }

  /** Makes a way through neighbours. */
  connect(uplink: NeighbourUplinkSettings): NeighbourUplink {
    const { agentId, options, clock, events } = this.#parts;
    const { name, via, inFlightMax } = uplink;
    const { hopsMax } = options;
    const way = new NeighbourUplink({ name, agentId, via, inFlightMax, hopsMax, clock, events });
    this.#ways.set(name, way);
    return way;
  }

  /** The mesh has been made, and has not started. */
  attach(around: RelaySurroundings): void {
    this.#around = around;
    const { node } = around;
    const host = this.#host;
    if (host !== undefined)
      node.serve(
        RELAY_PROTOCOL,
        { request: (from, bytes) => host.requests.answer(from, bytes) },
        "relay",
      );
    for (const way of this.#ways.values())
      way.attach({
        self: node.id,
        candidates: () => candidatesOf(node),
        request: (to, bytes, timeoutMs) => node.request(to, RELAY_PROTOCOL, bytes, { timeoutMs }),
      });
    node.onMember(({ peer, before, after, kind }) => {
      const anew = before?.record.health?.relay === undefined || kind === "back";
      this.#seen(peer, after, anew);
    });
    node.onLink((event) => {
      if (event.kind === "link-up") {
        const member = node.member(event.link.peer);
        if (member !== undefined) this.#seen(event.link.peer, member, false);
      }
      if (event.kind !== "link-down") return;
      host?.linkDown(event.peer);
      for (const way of this.#ways.values()) way.linkDown(event.peer);
    });
  }

  /** Reads what neighbours have handed over. @throws StoreError */
  async open(): Promise<void> {
    await this.#host?.start();
  }

  /** Writes what is pending. @throws StoreError */
  async close(): Promise<void> {
    await this.#host?.stop();
  }

  /** Relays from now on, whenever it can. */
  start(): void {
    if (this.#host === undefined) return;
    this.#parts.events.subscribe(({ type }) => {
      if (LOOK_AFTER.has(type)) this.#look();
    });
    this.#look();
  }

  /** Tells guests to look for somebody else. */
  stop(): void {
    this.#timer?.cancel();
    this.#around = undefined;
    this.#host?.setOffer({
      code: "relay.stopping",
      detail: "the neighbour is stopping",
      retryAfterMs: 15_000,
    });
  }

  /** @returns what the fleet is told */
  offer(): { readonly route: readonly PeerId[]; readonly loadPercent: number } | undefined {
    const offer = this.#offer;
    if (this.#host === undefined || offer === undefined || "code" in offer) return undefined;
    return { route: offer.route, loadPercent: this.#host.loadPercent };
  }

  status(): RelayStatus {
    const host = this.#host;
    const offer = this.#offer;
    const { bytesMax, guestsMax } = this.#parts.options;
    const withdrawn = offer === undefined || "code" in offer ? offer : undefined;
    return {
      enabled: host !== undefined,
      offering: offer !== undefined && withdrawn === undefined,
      ...(withdrawn !== undefined && { reason: withdrawn.detail }),
      route: offer !== undefined && "route" in offer ? offer.route : [],
      bytes: host?.bytes ?? 0,
      bytesMax,
      guestsMax,
      guests: host?.status() ?? [],
      forgotten: host?.forgotten ?? 0,
      hosts: [...this.#ways.values()].flatMap((way) => way.status() ?? []),
    };
  }

  #seen(peer: PeerId, { record, state }: Pick<Member, "record" | "state">, anew: boolean): void {
    const { node } = this.#around ?? {};
    if (node === undefined || this.#ways.size === 0 || peer === node.id) return;
    const linked = node.peers().some(({ id }) => id === peer);
    const candidate = candidateOf({ record, state }, linked);
    if (candidate === undefined) return;
    for (const way of this.#ways.values()) way.seen(candidate, anew);
  }

  #look(): void {
    const host = this.#host;
    const around = this.#around;
    if (host === undefined || around === undefined) return;
    const { clock, outbox, logger } = this.#parts;
    this.#timer?.cancel();
    this.#timer = clock.setTimer("relay.look", LOOK_AGAIN_MS, () => this.#look());
    const { device, uplinks } = around;
    const battery = device.latest()?.sample.battery;
    const discharging =
      battery?.available === true && battery.state !== "charging" && battery.state !== "full";
    const offer = this.#policy.decide(clock.monotonicMs(), {
      ways: uplinks.status().map((status) => this.#wayOf(status)),
      paused: uplinks.paused,
      powerMode: device.power().mode,
      dischargingPercent: discharging ? battery.chargePercent : undefined,
      flashBudgetUsed: outbox.wear.budgetUsed,
      storeWorks: host.storeWorks,
    });
    const { loadPercent } = host;
    const isNews = !isSame(offer, this.#offer);
    if (isNews) {
      const reason = "code" in offer ? { reason: offer.detail } : { route: offer.route };
      logger.info("code" in offer ? "relays no more" : "relays for neighbours", reason);
      this.#offer = offer;
      host.setOffer(offer);
    }
    if (!isNews && Math.abs(loadPercent - this.#toldLoadPercent) < LOAD_STEP_PERCENT) return;
    this.#toldLoadPercent = loadPercent;
    around.describe();
  }

  #wayOf({ name, state, active, takesGuests }: UplinkStatus): WayOut {
    const up = state === "up";
    const resting = state === "idle";
    const way = this.#ways.get(name)?.way;
    if (way !== undefined) {
      const passedMax = takesGuests ? way.passedMax : Math.min(1, way.passedMax);
      return { ...way, passedMax, takesGuests, up, active, resting };
    }
    const { hopsMax } = this.#parts.options;
    return { takesGuests, route: undefined, passedMax: hopsMax, up, active, resting };
  }
}

/** @returns whether an agent with these uplinks relays for others, when it can */
export function isRelayOn(options: RelayOptions, uplinks: readonly UplinkOptions[]): boolean {
  const able = uplinks.some((uplink) => uplink.kind !== "neighbour" && takesOthers(uplink));
  return options.enabled ?? able;
}

/** Others' updates have no priority of their own: they go where all may go. */
function takesOthers({ kind, updatePriorityMin }: UplinkOptions): boolean {
  return kind !== "sparkplug" && updatePriorityMin === 0;
}

function candidatesOf(node: MeshNode): HostCandidate[] {
  const linked = new Set(node.peers().map(({ id }) => id));
  return [...node.members()].flatMap((member) => {
    const { peerId } = member.record;
    return peerId === node.id ? [] : (candidateOf(member, linked.has(peerId)) ?? []);
  });
}

/** @returns an agent that says that it relays, and lives as far as anybody knows */
function candidateOf(
  { record, state }: Pick<Member, "record" | "state">,
  linked: boolean,
): HostCandidate | undefined {
  const relay = record.health?.relay;
  if (relay === undefined || record.leaving || state === "dead" || state === "left")
    return undefined;
  const { peerId, agentId } = record;
  return { peer: peerId, agentId, linked, route: relay.route, loadPercent: relay.loadPercent };
}

function isSame(left: Offer | Withdrawal, right: Offer | Withdrawal | undefined): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}
