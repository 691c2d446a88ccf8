import { setImmediate as turn } from "node:timers/promises";
import t from "tap";
import { parseFirmwareProfile } from "../../../src/device/firmware-profile.ts";
import { initialPowerState, step } from "../../../src/device/power-policy.ts";
import { defaultPowerPolicy } from "../../../src/device/power-settings.ts";
import { ResourceHistory } from "../../../src/device/resource-history.ts";
import {
  ResourceMonitor,
  type ResourceMonitorParts,
} from "../../../src/device/resource-monitor.ts";
import type { Clock, Timer } from "../../../src/platform/clock.ts";
import type { DeviceProbe, DeviceSample, ProbeHints } from "../../../src/platform/device-probe.ts";
import type { Logger } from "../../../src/platform/logger.ts";

const none = { available: false, reason: "not on this bench" } as const;
const calm: DeviceSample = {
  cpu: { available: true, cores: 4, usedPercent: 12.5, load1: 0, load5: 0, load15: 0 },
  memory: {
    available: true,
    totalBytes: 1000,
    availableBytes: 250,
    swapTotalBytes: 0,
    swapFreeBytes: 0,
  },
  pressure: none,
  thermal: { available: true, celsius: 40, zones: [] },
  throttling: none,
  battery: { available: true, name: "bench", chargePercent: 90, state: "discharging" },
  powerRails: none,
  disk: none,
  flashWear: none,
  network: none,
  gpu: none,
  process: { available: true, residentBytes: 50e6, cpuMs: 0 },
  uptimeMs: none,
};
const battery = (chargePercent: number, state: "charging" | "discharging") =>
  ({ available: true, name: "bench", chargePercent, state }) as const;

/** A bench: time goes by when told, and the body is what the test says. */
class Bench implements Clock {
  readonly bootId = "bench";
  nowMs = 5_000;
  wallOffsetMs = 1_000_000;
  timers: { atMs: number; callback: () => void }[] = [];
  sample: DeviceSample | Error = calm;
  hints: ProbeHints | undefined;
  readonly log: string[] = [];
  readonly emitted: [type: string, data: Readonly<Record<string, unknown>>][] = [];
  readonly monitor: ResourceMonitor;

  constructor(options: { [Key in keyof ResourceMonitorParts["options"]]?: object } = {}) {
    const note = (message: string): void => void this.log.push(message);
    const logger: Logger = {
      debug: note,
      info: note,
      warn: note,
      error: note,
      child: () => logger,
    };
    const probe: DeviceProbe = {
      identify: async () => identity,
      configure: (hints) => void (this.hints = hints),
      sample: async () => {
        if (this.sample instanceof Error) throw this.sample;
        return this.sample;
      },
    };
    const identity = {
      model: "Bench",
      compatible: [],
      hostname: "bench",
      kernel: "1",
      architecture: "x",
      operatingSystem: "x",
    };
    this.monitor = new ResourceMonitor({
      probe,
      clock: this,
      events: { emit: (type, data) => void this.emitted.push([type, data]) },
      logger,
      identity,
      profile: parseFirmwareProfile("bench.yaml", {
        id: "bench",
        name: "Bench",
        budget: { memoryBytesMax: 100e6, cpuPercentMax: 50 },
      }),
      chosenBecause: "the test says so",
      options: {
        device: { profile: "auto", historyPointsMax: 100, battery: {}, ...options.device },
        power: { mode: "auto", ...options.power },
        budget: { ...options.budget },
      },
    });
  }

  wallMs(): number {
    return this.wallOffsetMs + this.nowMs;
  }
  wallTrusted(): boolean {
    return true;
  }
  monotonicMs(): number {
    return this.nowMs;
  }
  setTimer(_: string, delayMs: number, callback: () => void): Timer {
    const timer = { atMs: this.nowMs + delayMs, callback };
    this.timers.push(timer);
    return { cancel: () => void (this.timers = this.timers.filter((other) => other !== timer)) };
  }
  /** Fires the next timer. @returns how long that took. */
  async next(): Promise<number> {
    const [timer] = this.timers.splice(0, 1);
    if (timer === undefined) throw new Error("no timer");
    const waitedMs = timer.atMs - this.nowMs;
    this.nowMs = timer.atMs;
    timer.callback();
    await turn();
    return waitedMs;
  }
}

t.test("samples at the mode's interval, from the first moment on", async (t) => {
  const bench = new Bench();
  const seen: number[] = [];
  const end = bench.monitor.onSnapshot(({ sequence }) => seen.push(sequence));
  t.equal(bench.monitor.latest(), undefined);
  await bench.monitor.start();
  t.match(bench.monitor.latest(), { sequence: 1, powerMode: "normal", monotonicMs: 5_000 });
  t.equal(await bench.next(), 1_000, "the second look follows soon: CPU use needs two");
  t.equal(await bench.next(), 10_000);
  bench.sample = { ...calm, battery: battery(28, "discharging") };
  await bench.next();
  t.equal(await bench.next(), 30_000, "saving looks less often");
  bench.sample = { ...calm, battery: battery(4, "discharging") };
  await bench.next();
  t.equal(await bench.next(), 600_000, "critical hardly ever");
  end();
  await bench.monitor.stop();
  t.same(bench.timers, [], "nothing is left running");
  t.same(seen, [1, 2, 3, 4, 5, 6, 7]);
});

t.test("walks down at once and back in steps, telling everybody", async (t) => {
  const bench = new Bench();
  const told: string[] = [];
  bench.monitor.onPowerChange(({ mode, settings }) =>
    told.push(`${mode} ${settings.uplinkBatchIntervalMs}`),
  );
  await bench.monitor.start();
  await bench.next();
  bench.sample = { ...calm, battery: battery(4, "discharging") };
  await bench.next();
  t.match(bench.monitor.power(), {
    mode: "critical",
    reason: "battery at 4 % and discharging",
    transitions: 1,
    sinceMs: bench.wallMs(),
  });
  bench.sample = { ...calm, battery: battery(60, "charging") };
  let elapsedMs = await bench.next();
  while (bench.monitor.power().mode !== "normal") elapsedMs += await bench.next();
  t.same(told, ["critical 900000", "aggressive 300000", "saving 30000", "normal 0"]);
  t.equal(elapsedMs, 600_000 + 3 * 120_000, "a dwell time for each step, no long interval between");
  bench.wallOffsetMs += 1e9;
  t.equal(bench.monitor.power().sinceMs, bench.wallMs(), "a clock that is set moves along");
  t.equal(bench.emitted.filter(([type]) => type === "power.mode-changed").length, 4);
});

t.test("a probe that fails is told once, and sampling goes on", async (t) => {
  const bench = new Bench();
  bench.sample = new Error("bus on fire");
  await bench.monitor.start();
  t.equal(bench.monitor.latest(), undefined);
  await bench.next();
  await bench.next();
  t.same(bench.log, ["device could not be sampled, trying on"]);
  bench.sample = calm;
  bench.monitor.onSnapshot(() => {
    throw new Error("clumsy listener");
  });
  await bench.next();
  t.equal(bench.monitor.latest()?.sequence, 1);
  t.same(bench.log.slice(1), ["a listener of the device failed", "device can be sampled again"]);
});

t.test("the budget: memory at once, CPU over a window, told once", async (t) => {
  const bench = new Bench({ budget: { cpuPercentMax: 10 } });
  await bench.monitor.start();
  const use = (residentBytes: number, cpuMs: number): void => {
    bench.sample = { ...calm, process: { available: true, residentBytes, cpuMs } };
  };
  use(150e6, 900);
  await bench.next();
  t.same(bench.monitor.latest()?.overBudget, [{ what: "memoryBytes", used: 150e6, max: 100e6 }]);
  await bench.next();
  t.match(bench.emitted.at(-1), [
    "resources.sampled",
    { overBudget: [{ what: "memoryBytes" }], powerMode: "normal", memoryPercent: 75 },
  ]);
  for (let i = 1; i <= 6; i += 1) {
    use(50e6, 900 + i * 2_000);
    await bench.next();
  }
  t.match(bench.monitor.latest()?.overBudget, [{ what: "cpuPercent", used: 20, max: 10 }]);
  use(50e6, 12_900);
  for (let i = 0; i < 6; i += 1) await bench.next();
  t.equal(bench.monitor.latest()?.overBudget, undefined);
  t.same(bench.log, [
    "agent is over its budget",
    "agent is within its budget again",
    "agent is over its budget",
    "agent is within its budget again",
  ]);
});

t.test("options override the profile; a forced mode holds", async (t) => {
  const bench = new Bench({
    power: { mode: "aggressive", modes: { aggressive: { samplingIntervalMs: 200_000 } } },
    device: {
      battery: { voltsRange: [3, 4.2], positiveCurrent: "discharging", gaugeDoubled: true },
    },
  });
  t.match(bench.hints, {
    batteryVoltsRange: [3, 4.2],
    batteryPositiveCurrent: "discharging",
    batteryGaugeDoubled: true,
  });
  await bench.monitor.start();
  t.match(bench.monitor.power(), {
    mode: "aggressive",
    reason: /power\.mode/,
    settings: { samplingIntervalMs: 200_000, uplinkBatchIntervalMs: 300_000 },
  });
  t.match(bench.monitor.powerPolicy(), { mode: "aggressive", dwellMs: 120_000 });
  t.match(bench.monitor.profile(), { id: "bench", chosenBecause: "the test says so" });
  t.throws(() => new Bench({ device: { battery: { voltsRange: [8.4, 6] } } }), {
    message: /device\.battery\.voltsRange/,
  });
  t.throws(() => new Bench({ power: { celsius: { saving: { leave: 90 } } } }), {
    code: "power.policy-invalid",
  });
});

t.test("history keeps the newest points and knows null from zero", async (t) => {
  const history = new ResourceHistory(3);
  const point = (wallMs: number, celsius: number | null) => ({
    wallMs,
    cpuPercent: 0,
    memoryPercent: null,
    celsius,
    batteryPercent: null,
    diskPercent: 1.5,
    residentBytes: 2e9,
  });
  for (let i = 1; i <= 5; i += 1) history.add(point(i, i === 4 ? null : i));
  t.same(history.read({ sinceMs: 0, limit: 10 }), [point(3, 3), point(4, null), point(5, 5)]);
  t.same(history.read({ sinceMs: 4, limit: 1 }), [point(4, null)]);
  t.same(history.read({ sinceMs: 6, limit: 10 }), []);
  const long = new ResourceHistory(200);
  for (let i = 1; i <= 450; i += 1) {
    long.add(point(i, i));
    const kept = long.read({ sinceMs: 0, limit: 1_000 }).map(({ wallMs }) => wallMs);
    const first = Math.max(1, i - 199);
    if (![kept.length === i - first + 1, kept[0] === first, kept.at(-1) === i].every(Boolean))
      t.fail(`after ${i}: ${kept.length} points from ${kept[0]} to ${kept.at(-1)}`);
  }
});

t.test("what the policy makes of single readings", async (t) => {
  const look = (input: Partial<Parameters<typeof step>[2]>, from = initialPowerState(0)) =>
    step(defaultPowerPolicy, from, { monotonicMs: 0, wanted: "auto", ...input }).state;
  t.equal(look({}).mode, "normal", "nothing known, nothing wrong");
  t.equal(look({ underVoltage: true }).mode, "saving");
  t.match(look({ celsius: 83, throttled: true }), { mode: "aggressive", reason: "83.0 °C" });
  t.equal(look({ battery: { chargePercent: 10, state: "unknown" } }).mode, "aggressive");
  t.equal(look({ battery: { chargePercent: 10, state: "charging" } }).mode, "normal", "plugged in");
  t.equal(look({ battery: { state: "unknown" } }).mode, "normal", "voltage only: no charge");
  const low = look({ battery: { chargePercent: 4, state: "discharging" } });
  const lost = look({ monotonicMs: 9e9 }, low);
  t.match(lost, { mode: "critical", reason: /when it was last read/ }, "unknown is not fine");
});
