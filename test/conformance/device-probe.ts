import { setTimeout as sleep } from "node:timers/promises";
import type { Test } from "tap";
import type { DeviceProbe, DeviceSample, ProbeHints } from "../../src/platform/device-probe.ts";

const nothing: ProbeHints = {
  thermalZonesExcluded: ["*"],
  throttling: [],
  battery: [],
  totalRails: [],
};

/** What every implementation of the DeviceProbe seam keeps to. `make` gives a fresh probe each time. */
export async function deviceProbeConformance(
  t: Test,
  name: string,
  make: () => DeviceProbe | Promise<DeviceProbe>,
): Promise<void> {
  await t.test(`${name}: says what the device is`, async (t) => {
    const probe = await make();
    const identity = await probe.identify();
    for (const key of ["model", "hostname", "kernel", "architecture", "operatingSystem"] as const) {
      t.ok(identity[key].length > 0, `${key} is told`);
      t.notMatch(identity[key], /\0|\n/, `${key} is one clean line`);
    }
    t.ok(Array.isArray(identity.compatible));
    t.same(await probe.identify(), identity, "says the same again");
  });

  await t.test(
    `${name}: every part is there with sound figures, or absent with a reason`,
    async (t) => {
      const probe = await make();
      await probe.sample();
      const sample = await probe.sample();
      for (const [part, value] of Object.entries(sample)) {
        if (value.available) checkFigures(t, part, value);
        else t.ok(value.reason.length > 5, `${part} says why it is absent: ${value.reason}`);
      }
      t.same(JSON.parse(JSON.stringify(sample)), sample, "survives JSON: no NaN, no undefined");
      checkRanges(t, sample);
    },
  );

  await t.test(`${name}: CPU use shows from the second sample on`, async (t) => {
    const probe = await make();
    const first = await probe.sample();
    if (!first.cpu.available) return;
    t.equal(first.cpu.usedPercent, undefined, "one sample alone has no use to tell");
    let { cpu } = await probe.sample();
    for (let i = 0; i < 200 && cpu.available && cpu.usedPercent === undefined; i += 1) {
      await sleep(20);
      ({ cpu } = await probe.sample());
    }
    t.ok(cpu.available, "CPU is still there");
    // A fixed tree has the same counters for ever, and then no use is the honest answer.
    if (!cpu.available || cpu.usedPercent === undefined) return;
    t.ok(cpu.usedPercent >= 0 && cpu.usedPercent <= 100);
    t.equal(cpu.perCorePercent?.length, cpu.cores);
  });

  await t.test(`${name}: follows the profile's hints`, async (t) => {
    const probe = await make();
    probe.configure(nothing);
    const { thermal, throttling, battery } = await probe.sample();
    t.equal(thermal.available, false, "all zones excluded: no temperature");
    t.equal(throttling.available, false, "no source: unknown, not fine");
    t.equal(battery.available, false, "no source: no battery");
  });

  await t.test(`${name}: two askers at once each get an answer`, async (t) => {
    const probe = await make();
    const samples = await Promise.all([probe.sample(), probe.sample()]);
    for (const { memory } of samples) t.ok(memory.available || memory.reason !== "");
  });
}

function checkFigures(t: Test, path: string, value: unknown): void {
  if (typeof value === "number") t.ok(Number.isFinite(value), `${path} is a number: ${value}`);
  if (typeof value !== "object" || value === null) return;
  for (const [key, inner] of Object.entries(value)) checkFigures(t, `${path}.${key}`, inner);
}

function checkRanges(t: Test, { memory, disk, battery, thermal, uptimeMs }: DeviceSample): void {
  if (memory.available) {
    t.ok(memory.availableBytes > 0 && memory.availableBytes <= memory.totalBytes);
    t.ok(memory.swapFreeBytes <= memory.swapTotalBytes);
  }
  if (disk.available) t.ok(disk.freeBytes >= 0 && disk.freeBytes <= disk.totalBytes);
  if (battery.available && battery.chargePercent !== undefined) {
    t.ok(battery.chargePercent >= 0 && battery.chargePercent <= 100);
  }
  if (thermal.available) t.ok(thermal.celsius > -60 && thermal.celsius < 200);
  if (uptimeMs.available) t.ok(uptimeMs.value > 0);
}
