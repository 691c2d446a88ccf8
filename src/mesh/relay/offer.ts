import type { PeerId } from "../../platform/signer.ts";
import type { RelayOptions } from "./options.ts";

/** A road out, as far as it matters to guests. */
export interface WayOut {
  /** Updates of other agents can travel over it as it is now. */
  readonly takesGuests: boolean;
  /** Peer ids of the agents on the way, where it leads through a neighbour; undefined where it is an uplink itself. */
  readonly route: readonly PeerId[] | undefined;
  /** Agents that an update may have come through before it is sent there, this one counted. */
  readonly passedMax: number;
  readonly up: boolean;
  /** It carries the updates now. */
  readonly active: boolean;
  /** Not connected on purpose, to save power or because another one carries. */
  readonly resting: boolean;
}

/** How the device and its ways out are. */
export interface RelayConditions {
  readonly ways: readonly WayOut[];
  readonly paused: boolean;
  readonly powerMode: "normal" | "saving" | "aggressive" | "critical";
  /** Of a device that runs on its battery now; undefined on mains, and while it is charged. */
  readonly dischargingPercent: number | undefined;
  /** Share of the day's flash budget that is used, 0 to 1; 0 where there is none. */
  readonly flashBudgetUsed: number;
  /** Updates of guests can be stored. */
  readonly storeWorks: boolean;
}

/** Why nothing is taken of others now. */
export interface Withdrawal {
  /** Stable, for programs. */
  readonly code:
    | "relay.no-uplink"
    | "relay.paused"
    | "relay.power"
    | "relay.flash"
    | "relay.store"
    | "relay.hops"
    | "relay.stopping";
  readonly detail: string;
  readonly retryAfterMs: number;
}

/** Takes updates of others, over this way. */
export interface Offer {
  /** Peer ids of the agents behind this one on the way to an uplink. */
  readonly route: readonly PeerId[];
  /** Agents that an update may have come through before it comes here. */
  readonly passedMax: number;
}

/** The way of an agent that relays, as guests see it. */
export interface Way {
  /** Peer ids of the agents on it, that one first. */
  readonly route: string[];
  /** Agents that an update may have come through before it comes there. */
  readonly passedMax: number;
  readonly withdrawn?: Withdrawal;
}

/** An uplink that was up so lately still counts: guests do not come and go with every short break. */
const GRACE_MS = 60_000;
/** What is left of the day's flash budget is the device's own. */
const FLASH_SHARE_MAX = 0.9;
const SOON_MS = 15_000;
const LATER_MS = 300_000;

/** Decides from moment to moment whether this agent relays for others. Pure: time and conditions come in. */
export class OfferPolicy {
  readonly #options: Pick<RelayOptions, "hopsMax" | "powerModeMin" | "minBatteryPercent">;
  #upAtMs = Number.NEGATIVE_INFINITY;
  /** It was up when it was looked at last, or was let go after that. */
  #works = false;

  constructor(options: Pick<RelayOptions, "hopsMax" | "powerModeMin" | "minBatteryPercent">) {
    this.#options = options;
  }

  decide(nowMs: number, conditions: RelayConditions): Offer | Withdrawal {
    const own = conditions.ways.filter(({ takesGuests, route }) => takesGuests && !route);
    if (own.some(({ up }) => up)) this.#works = true;
    // One that rests is as good as it was when it was let go.
    else if (!own.some(({ resting }) => resting) && nowMs - this.#upAtMs > GRACE_MS)
      this.#works = false;
    if (this.#works && own.some(({ up, resting }) => up || resting)) this.#upAtMs = nowMs;
    return this.#deviceFault(conditions) ?? this.#wayOut(nowMs, conditions, own.length > 0);
  }

  #wayOut(nowMs: number, { ways }: RelayConditions, hasOwn: boolean): Offer | Withdrawal {
    const { hopsMax } = this.#options;
    // What is told is the way that updates take, not the one that they would like to: or two would relay in a circle.
    const active = ways.find((way) => way.active);
    if (active?.route === undefined && active?.takesGuests === false)
      return withdrawal(
        "relay.no-uplink",
        "the neighbour's uplink takes its own updates alone",
        LATER_MS,
      );
    if (hasOwn && active?.route === undefined && nowMs - this.#upAtMs <= GRACE_MS)
      return { route: [], passedMax: hopsMax };
    const [way] = (active === undefined ? ways : [active])
      .flatMap(({ up, route, passedMax }) => (up && route ? [{ route, passedMax }] : []))
      .toSorted((a, b) => a.route.length - b.route.length);
    if (way === undefined)
      return withdrawal("relay.no-uplink", "the neighbour's uplink does not work now", SOON_MS);
    const { route } = way;
    const passedMax = Math.min(hopsMax - route.length, way.passedMax - 1);
    if (passedMax >= 1) return { route, passedMax };
    const said = `its own way has ${route.length} agents, and relay.hopsMax does not allow more`;
    return withdrawal("relay.hops", said, LATER_MS);
  }

  #deviceFault(conditions: RelayConditions): Withdrawal | undefined {
    const { paused, powerMode, dischargingPercent, flashBudgetUsed, storeWorks } = conditions;
    const { powerModeMin, minBatteryPercent } = this.#options;
    const modes = powerModeMin === "normal" ? ["normal"] : ["normal", "saving"];
    if (!modes.includes(powerMode))
      return withdrawal("relay.power", `the neighbour is in power mode ${powerMode}`, LATER_MS);
    if (dischargingPercent !== undefined && dischargingPercent < minBatteryPercent) {
      const said = `the neighbour's battery is at ${Math.round(dischargingPercent)} %, under relay.minBatteryPercent (${minBatteryPercent})`;
      return withdrawal("relay.power", said, LATER_MS);
    }
    if (paused) return withdrawal("relay.paused", "sending is paused there", SOON_MS);
    if (flashBudgetUsed > FLASH_SHARE_MAX)
      return withdrawal("relay.flash", "the neighbour spares its flash", LATER_MS);
    return storeWorks
      ? undefined
      : withdrawal("relay.store", "the neighbour can not write its disk", SOON_MS);
  }
}

/** @returns what an offer, or that there is none, is to guests */
export function wayOf(self: PeerId, offer: Offer | Withdrawal): Way {
  return "code" in offer
    ? { route: [self], passedMax: 0, withdrawn: offer }
    : { route: [self, ...offer.route], passedMax: offer.passedMax };
}

function withdrawal(code: Withdrawal["code"], detail: string, retryAfterMs: number): Withdrawal {
  return { code, detail, retryAfterMs };
}
