import type { Clock, Timer } from "../platform/clock.ts";
import type { DeviceIdentity, DeviceProbe, ProbeHints } from "../platform/device-probe.ts";
import type { EventSink } from "../platform/event-sink.ts";
import type { Logger } from "../platform/logger.ts";
import { BudgetWatch } from "./budget-watch.ts";
import { type FirmwareProfile, voltsRange } from "./firmware-profile.ts";
import type { BudgetOptions, DeviceOptions, PowerOptions } from "./options.ts";
import { initialPowerState, type PowerState, powerInputOf, step } from "./power-policy.ts";
import { type PowerPolicy, resolvePowerPolicy } from "./power-settings.ts";
import { ResourceHistory, resourcePointOf } from "./resource-history.ts";
import type {
  BudgetExcess,
  DeviceView,
  PowerStatus,
  ResourcePoint,
  ResourceSnapshot,
} from "./view.ts";

/** CPU use is the difference of two samples, so the second one follows the first closely. */
const secondSampleDelayMs = 1_000;

/** What the monitor needs; the profile comes from `chooseFirmwareProfile`. */
export interface ResourceMonitorParts {
  readonly probe: DeviceProbe;
  readonly clock: Clock;
  readonly events: EventSink;
  readonly logger: Logger;
  readonly identity: DeviceIdentity;
  readonly profile: FirmwareProfile;
  readonly chosenBecause: string;
  readonly options: {
    readonly device: DeviceOptions;
    readonly power: PowerOptions;
    readonly budget: BudgetOptions;
  };
}

/**
 * Looks at the body as often as the power mode says, keeps the history, and steps the power policy with what
 * it saw. A look that fails is logged and repeated at the next interval.
 */
export class ResourceMonitor implements DeviceView {
  readonly #parts: ResourceMonitorParts;
  readonly #logger: Logger;
  readonly #policy: PowerPolicy;
  readonly #history: ResourceHistory;
  readonly #budget: BudgetWatch;
  readonly #snapshotListeners = new Set<(snapshot: ResourceSnapshot) => void>();
  readonly #powerListeners = new Set<(status: PowerStatus) => void>();
  #power: PowerState;
  #latest: ResourceSnapshot | undefined;
  #sequence = 0;
  #failing = false;
  #overBudget = "";
  #timer: Timer | undefined;
  #looking: Promise<void> = Promise.resolve();
  #running = false;

  /**
   * @throws PowerPolicyError when the thresholds contradict each other
   * @throws FirmwareProfileError when `device.battery.voltsRange` is the wrong way round
   */
  constructor(parts: ResourceMonitorParts) {
    const { clock, logger, options, probe, profile } = parts;
    this.#parts = parts;
    this.#logger = logger.child("device");
    this.#policy = resolvePowerPolicy(profile.power, options.power);
    this.#history = new ResourceHistory(options.device.historyPointsMax);
    this.#budget = new BudgetWatch({ ...profile.budget, ...options.budget });
    this.#power = initialPowerState(clock.monotonicMs());
    probe.configure(hintsOf(profile, options.device));
  }

  /** Takes the first sample and goes on sampling. Resolves when the first one is there. */
  async start(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    this.#looking = this.#look();
    await this.#looking;
  }

  /** Stops sampling and waits for a sample under way. Idempotent. */
  async stop(): Promise<void> {
    this.#running = false;
    this.#timer?.cancel();
    await this.#looking;
  }

  /** Calls `listener` after every sample. @returns a function that ends it. */
  onSnapshot(listener: (snapshot: ResourceSnapshot) => void): () => void {
    this.#snapshotListeners.add(listener);
    return () => this.#snapshotListeners.delete(listener);
  }

  /** Calls `listener` after every change of power mode. @returns a function that ends it. */
  onPowerChange(listener: (status: PowerStatus) => void): () => void {
    this.#powerListeners.add(listener);
    return () => this.#powerListeners.delete(listener);
  }

  /** @returns what the probe said the device is. */
  identity(): DeviceIdentity {
    return this.#parts.identity;
  }

  /** @returns the firmware profile and why it was chosen. */
  profile(): { readonly id: string; readonly name: string; readonly chosenBecause: string } {
    const { profile, chosenBecause } = this.#parts;
    return { id: profile.id, name: profile.name, chosenBecause };
  }

  /** @returns the newest sample; undefined only before the first. */
  latest(): ResourceSnapshot | undefined {
    return this.#latest;
  }

  /** @returns points at or after `sinceMs`, oldest first, at most `limit`. */
  history(options: { sinceMs: number; limit: number }): readonly ResourcePoint[] {
    return this.#history.read(options);
  }

  /** @returns the mode now, why, and what it asks of the other rooms. */
  power(): PowerStatus {
    const { clock } = this.#parts;
    const { mode, reason, enteredMs, transitions } = this.#power;
    // Told by the wall clock as it is now: a clock that was set since then must not move the moment.
    const sinceMs = clock.wallMs() - (clock.monotonicMs() - enteredMs);
    return { mode, reason, sinceMs, settings: this.#policy.modes[mode], transitions };
  }

  /** @returns thresholds and settings as they result from profile and configuration. */
  powerPolicy(): Readonly<Record<string, unknown>> {
    return { mode: this.#parts.options.power.mode, ...this.#policy };
  }

  async #look(): Promise<void> {
    const { clock, probe } = this.#parts;
    const begunMs = clock.monotonicMs();
    try {
      this.#take(await probe.sample());
      if (this.#failing) this.#logger.info("device can be sampled again");
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) {
        this.#logger.warn("device could not be sampled, trying on", { reason: String(error) });
      }
      this.#failing = true;
    }
    if (!this.#running) return;
    const delayMs = this.#nextDelayMs() - (clock.monotonicMs() - begunMs);
    this.#timer = clock.setTimer("device.sample", Math.max(0, delayMs), () => {
      this.#looking = this.#look();
    });
  }

  #take(sample: ResourceSnapshot["sample"]): void {
    const { clock, events, options } = this.#parts;
    const monotonicMs = clock.monotonicMs();
    const wallMs = clock.wallMs();
    const overBudget = this.#budget.judge(sample, monotonicMs);
    const stepped = step(
      this.#policy,
      this.#power,
      powerInputOf(sample, monotonicMs, options.power.mode),
    );
    this.#power = stepped.state;
    this.#sequence += 1;
    const snapshot: ResourceSnapshot = {
      sequence: this.#sequence,
      wallMs,
      monotonicMs,
      powerMode: stepped.state.mode,
      sample,
      ...(overBudget.length > 0 ? { overBudget } : {}),
    };
    this.#latest = snapshot;
    const { wallMs: _, ...figures } = resourcePointOf(sample, wallMs);
    this.#history.add({ wallMs, ...figures });
    this.#noteBudget(overBudget);
    for (const { from, to, reason } of stepped.effects) {
      this.#logger.info("power mode changed", { from, to, reason });
      events.emit("power.mode-changed", { from, to, reason });
      this.#tell(this.#powerListeners, this.power());
    }
    events.emit("resources.sampled", {
      sequence: snapshot.sequence,
      powerMode: snapshot.powerMode,
      ...figures,
      ...(overBudget.length > 0 ? { overBudget } : {}),
    });
    this.#tell(this.#snapshotListeners, snapshot);
  }

  #noteBudget(overBudget: readonly BudgetExcess[]): void {
    const what = overBudget.map((excess) => excess.what).join();
    if (what !== this.#overBudget) {
      if (what === "") this.#logger.info("agent is within its budget again");
      else this.#logger.warn("agent is over its budget", { overBudget });
    }
    this.#overBudget = what;
  }

  #nextDelayMs(): number {
    if (this.#sequence === 1) return secondSampleDelayMs;
    const { samplingIntervalMs } = this.#policy.modes[this.#power.mode];
    const { betterSinceMs } = this.#power;
    if (betterSinceMs === undefined) return samplingIntervalMs;
    // On the way back, look again as soon as the dwell time allows a step, not a whole long interval later.
    const dwellLeftMs = betterSinceMs + this.#policy.dwellMs - this.#parts.clock.monotonicMs();
    return Math.min(samplingIntervalMs, Math.max(secondSampleDelayMs, dwellLeftMs));
  }

  #tell<T>(listeners: ReadonlySet<(value: T) => void>, value: T): void {
    for (const listener of listeners) {
      try {
        listener(value);
      } catch (error) {
        this.#logger.error("a listener of the device failed", { reason: String(error) });
      }
    }
  }
}

function hintsOf(profile: FirmwareProfile, options: DeviceOptions): ProbeHints {
  const { voltsRange: range, positiveCurrent, gaugeDoubled } = options.battery;
  return {
    ...profile.probe,
    ...voltsRange(range, "device.battery.voltsRange"),
    ...(positiveCurrent === undefined ? {} : { batteryPositiveCurrent: positiveCurrent }),
    ...(gaugeDoubled === undefined ? {} : { batteryGaugeDoubled: gaugeDoubled }),
  };
}
