import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import t from "tap";
import type { DeviceSample, Measured, ProbeHints } from "../../../src/platform/device-probe.ts";
import { LinuxDeviceProbe } from "../../../src/platform/linux/linux-device-probe.ts";

const fixtures = join(import.meta.dirname, "../../fixtures/devices");
const dataDirectory = import.meta.dirname;
const devices = [
  "pi-4",
  "pi-5",
  "pi-zero-2-w",
  "pi-ina219-ups",
  "pi-max17040",
  "jetson-orin-nano",
  "jetson-nano",
  "bare-vm",
];
const all: ProbeHints = {
  thermalZonesExcluded: ["PMIC-Die", "thermal-fan-est*"],
  throttling: ["vcgencmd-file", "rpi-volt", "soctherm", "cpufreq"],
  battery: ["power-supply", "ina219"],
  batteryVoltsRange: [6, 8.4],
  totalRails: ["VDD_IN", "POM_5V_IN"],
};

function probeOf(root: string, hints: Partial<ProbeHints> = {}): LinuxDeviceProbe {
  const probe = new LinuxDeviceProbe({ root, dataDirectory });
  probe.configure({ ...all, ...hints });
  return probe;
}

function there<T>(measured: Measured<T>): T {
  if (!measured.available) throw new Error(`absent: ${measured.reason}`);
  return measured;
}

function reason(measured: Measured<unknown>): string {
  return measured.available ? "it is available" : measured.reason;
}

/** The kernel's file, read in the plainest way. */
const kernel = (root: string, path: string): string =>
  readFileSync(join(root, path), "utf8").trim();
const integer = (root: string, path: string): number => Number(kernel(root, path));
const column = (root: string, path: string, start: RegExp, index: number): number =>
  Number(
    kernel(root, path)
      .split("\n")
      .find((line) => start.test(line))
      ?.trim()
      .split(/\s+/)[index],
  );

/** A copy of a fixture that may be changed; a value of null removes the file. */
function changed(t: Tap, device: string, files: Record<string, string | null>): string {
  const root = t.testdir();
  cpSync(join(fixtures, device), root, { recursive: true });
  for (const [path, content] of Object.entries(files)) {
    rmSync(join(root, path), { recursive: true, force: true });
    if (content === null) continue;
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return root;
}
type Tap = { testdir: () => string };

for (const device of devices) {
  const root = join(fixtures, device);
  t.test(`${device}: each reading is the kernel's own`, async (t) => {
    const sample = await probeOf(root).sample();
    const kilobytes = (name: string): number =>
      column(root, "proc/meminfo", new RegExp(`^${name}:`), 1) * 1024;
    t.match(sample.memory, {
      available: true,
      totalBytes: kilobytes("MemTotal"),
      availableBytes: kilobytes("MemAvailable"),
      swapTotalBytes: kilobytes("SwapTotal"),
      swapFreeBytes: kilobytes("SwapFree"),
    });
    const cpu = there(sample.cpu);
    t.equal(cpu.cores, kernel(root, "proc/stat").match(/^cpu\d+/gm)?.length);
    t.equal(cpu.load1, column(root, "proc/loadavg", /./, 0));
    t.equal(cpu.load15, column(root, "proc/loadavg", /./, 2));
    t.equal(there(sample.uptimeMs).value, Math.round(column(root, "proc/uptime", /./, 0) * 1000));
    for (const link of there(sample.network).interfaces) {
      const statistics = `sys/class/net/${link.name}/statistics`;
      t.equal(link.receivedBytes, integer(root, `${statistics}/rx_bytes`), link.name);
      t.equal(link.sentBytes, integer(root, `${statistics}/tx_bytes`), link.name);
      t.equal(link.up, kernel(root, `sys/class/net/${link.name}/operstate`) === "up");
    }
    const disk = { "pi-5": "nvme0n1", "jetson-orin-nano": "nvme0n1", "bare-vm": "vda" }[device];
    const written = column(root, "proc/diskstats", new RegExp(`\\d ${disk ?? "mmcblk0"} `), 9);
    t.equal(there(sample.disk).writtenBytes, written * 512, "of the whole disk, not the partition");
    t.equal(there(sample.disk).totalBytes, bytesOf(dataDirectory));
  });
}

function bytesOf(path: string): number {
  const { blocks, bsize } = statfsSync(path);
  return blocks * bsize;
}

t.test("identity comes from the device tree, else from DMI", async (t) => {
  t.match(await probeOf(join(fixtures, "pi-4")).identify(), {
    model: "Raspberry Pi 4 Model B Rev 1.4",
    compatible: ["raspberrypi,4-model-b", "brcm,bcm2711"],
    serial: "100000003d1d1c36",
    hostname: "barn-gateway",
    kernel: "6.6.51+rpt-rpi-v8",
    architecture: "aarch64",
    operatingSystem: "Debian GNU/Linux 12 (bookworm)",
  });
  const vm = await probeOf(join(fixtures, "bare-vm")).identify();
  t.equal(vm.model, "Standard PC (Q35 + ICH9, 2009)");
  t.same(vm.compatible, []);
  const nothing = await probeOf(t.testdir()).identify();
  t.match(nothing, { model: "unknown machine", hostname: "unknown", architecture: "unknown" });
});

t.test("Raspberry Pi: temperature, frequency, throttling in all its ways", async (t) => {
  const pi4 = await probeOf(join(fixtures, "pi-4")).sample();
  t.equal(there(pi4.thermal).celsius, 48.312);
  t.equal(there(pi4.cpu).frequencyHz, 1_500_000_000);
  t.equal(there(pi4.cpu).frequencyMaxHz, 1_800_000_000);
  t.match(pi4.throttling, {
    sources: ["vcgencmd-file"],
    underVoltageNow: false,
    throttledNow: false,
    underVoltageSinceBoot: true,
    throttledSinceBoot: true,
  });
  t.match(
    (await probeOf(join(fixtures, "pi-5")).sample()).throttling,
    { underVoltageNow: false, underVoltageSinceBoot: false, throttledSinceBoot: true },
    "the Pi 5 keeps the file elsewhere; e0008 is hexadecimal",
  );
  const root = changed(t, "pi-4", {
    "sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n",
  });
  t.match((await probeOf(root).sample()).throttling, { underVoltageNow: true, throttledNow: true });
});

t.test("under-voltage is latched, and unknown stays unknown", async (t) => {
  const root = changed(t, "pi-zero-2-w", {});
  const alarm = join(root, "sys/class/hwmon/hwmon1/in0_lcrit_alarm");
  const probe = probeOf(root);
  t.match((await probe.sample()).throttling, {
    sources: ["rpi-volt", "cpufreq"],
    underVoltageNow: true,
    throttledNow: false,
  });
  writeFileSync(alarm, "0\n");
  t.match(
    (await probe.sample()).throttling,
    { underVoltageNow: false, underVoltageSinceBoot: true },
    "the driver forgets, we do not",
  );
  rmSync(alarm);
  const unknown = there((await probe.sample()).throttling);
  t.notOk("underVoltageNow" in unknown, "no alarm file: nobody knows");
  const vm = (await probeOf(join(fixtures, "bare-vm")).sample()).throttling;
  t.match(reason(vm), /unknown, not fine/);
});

t.test("INA219: charge from the voltage range, state from the current", async (t) => {
  const root = join(fixtures, "pi-ina219-ups");
  const battery = there((await probeOf(root).sample()).battery);
  t.match(battery, {
    name: "ina219",
    state: "discharging",
    volts: integer(root, "sys/class/hwmon/hwmon2/in1_input") / 1000,
    amperes: 0.612,
    chargePercent: 68.5,
    chargeEstimated: true,
  });
  const turned = await probeOf(root, { batteryPositiveCurrent: "discharging" }).sample();
  t.equal(there(turned.battery).state, "charging");
  const rail = changed(t, "pi-ina219-ups", { "sys/class/hwmon/hwmon2/in1_input": "5012\n" });
  t.equal(
    there((await probeOf(rail).sample()).battery).chargePercent,
    undefined,
    "5 V is no pack of two cells: no false zero",
  );
});

t.test("MAX17040: found under its own name, a mouse's battery is not ours", async (t) => {
  const root = join(fixtures, "pi-max17040");
  t.match((await probeOf(root).sample()).battery, {
    name: "battery",
    chargePercent: 64,
    state: "unknown",
    volts: 3.87125,
  });
  const mouseOnly = changed(t, "pi-max17040", { "sys/class/power_supply/battery": null });
  t.match(reason((await probeOf(mouseOnly).sample()).battery), /no battery found/);
  const capacity = "sys/class/power_supply/battery/capacity";
  const doubled = changed(t, "pi-max17040", { [capacity]: "164\n" });
  const probe = probeOf(doubled);
  t.equal(there((await probe.sample()).battery).chargePercent, 82);
  writeFileSync(join(doubled, capacity), "90\n");
  t.equal(there((await probe.sample()).battery).chargePercent, 45, "once seen, it stays doubled");
  const told = await probeOf(root, { batteryGaugeDoubled: true }).sample();
  t.equal(there(told.battery).chargePercent, 32);
});

t.test("power supplies: signs, units, mains, and what is no battery", async (t) => {
  const at = "sys/class/power_supply/BAT1";
  const root = changed(t, "bare-vm", {
    [`${at}/type`]: "Battery\n",
    [`${at}/status`]: "Discharging\n",
    [`${at}/voltage_now`]: "11400000\n",
    [`${at}/current_now`]: "-1500000\n",
    [`${at}/energy_now`]: "20000000\n",
    [`${at}/energy_full`]: "50000000\n",
  });
  t.match((await probeOf(root).sample()).battery, {
    name: "BAT1",
    state: "discharging",
    chargePercent: 40,
    volts: 11.4,
    amperes: 1.5,
    watts: 17.1,
  });
  writeFileSync(join(root, at, "status"), "Unknown\n");
  mkdirSync(join(root, "sys/class/power_supply/AC"));
  writeFileSync(join(root, "sys/class/power_supply/AC/type"), "Mains\n");
  writeFileSync(join(root, "sys/class/power_supply/AC/online"), "1\n");
  t.equal(there((await probeOf(root).sample()).battery).state, "charging", "mains is plugged in");
  const jetson = await probeOf(join(fixtures, "jetson-orin-nano")).sample();
  t.match(reason(jetson.battery), /no battery found/, "ucsi-source-psy is a port");
});

t.test("Jetson: rails, GPU, over-current events, sleeping and fixed zones", async (t) => {
  const orin = await probeOf(join(fixtures, "jetson-orin-nano")).sample();
  t.same(there(orin.powerRails).rails, [
    { name: "VDD_IN", volts: 5.056, amperes: 1.192, watts: 6.027 },
    { name: "VDD_CPU_GPU_CV", volts: 5.048, amperes: 0.312, watts: 1.575 },
    { name: "VDD_SOC", volts: 5.048, amperes: 0.28, watts: 1.413 },
  ]);
  t.equal(there(orin.gpu).usedPercent, 34.7);
  t.equal(there(orin.thermal).zones.length, 6, "three gated zones are left out");
  t.match(orin.throttling, { sources: ["soctherm", "cpufreq"], throttledSinceBoot: true });
  const root = changed(t, "jetson-orin-nano", {
    "sys/class/hwmon/hwmon1/in2_label": "NC\n",
  });
  const probe = probeOf(root);
  const before = await probe.sample();
  t.same(
    there(before.powerRails).rails.map(({ name }) => name),
    ["VDD_IN", "VDD_SOC"],
    "what is not connected is no rail",
  );
  t.equal(there(before.throttling).throttledNow, false);
  writeFileSync(join(root, "sys/class/hwmon/hwmon3/oc3_event_cnt"), "3\n");
  t.equal(there((await probe.sample()).throttling).throttledNow, true, "a new event");

  const nano = await probeOf(join(fixtures, "jetson-nano")).sample();
  t.equal(there(nano.thermal).celsius, 41.5, "PMIC-Die always reads 100 °C and does not count");
  t.same(
    there(nano.powerRails).rails.map(({ name, watts }) => [name, watts]),
    [
      ["POM_5V_IN", 2.161],
      ["POM_5V_GPU", 0.041],
      ["POM_5V_CPU", 0.489],
    ],
    "JetPack 4 keeps them under iio",
  );
  t.equal(there(nano.gpu).usedPercent, 12.5);
});

t.test("flash wear: eMMC tells, SD cards do not", async (t) => {
  t.match((await probeOf(join(fixtures, "jetson-nano")).sample()).flashWear, {
    device: "mmcblk0",
    lifeUsedPercent: 20,
    preEol: "normal",
  });
  const worn = changed(t, "jetson-nano", {
    "sys/block/mmcblk0/device/life_time": "0x0b 0x05\n",
    "sys/block/mmcblk0/device/pre_eol_info": "0x03\n",
  });
  t.match((await probeOf(worn).sample()).flashWear, { lifeUsedPercent: 110, preEol: "urgent" });
  t.match(reason((await probeOf(join(fixtures, "pi-4")).sample()).flashWear), /SD card mmcblk0/);
});

t.test("network: Wi-Fi signal, link speed, and no speed where there is none", async (t) => {
  const [eth0, wlan0] = there((await probeOf(join(fixtures, "pi-5")).sample()).network).interfaces;
  t.match(wlan0, { name: "wlan0", up: true, wireless: true, signalDbm: -57 });
  t.match(eth0, { name: "eth0", up: false, wireless: false });
  const [pi] = there((await probeOf(join(fixtures, "pi-4")).sample()).network).interfaces;
  t.equal(pi?.speedMbps, 1000);
  const [vm] = there((await probeOf(join(fixtures, "bare-vm")).sample()).network).interfaces;
  t.notOk(vm !== undefined && "speedMbps" in vm, "-1 is no speed");
});

t.test("pressure is measured, or the way to turn it on is told", async (t) => {
  t.match((await probeOf(join(fixtures, "pi-5")).sample()).pressure, {
    cpuSomeAvg10Percent: 1.24,
    ioSomeAvg10Percent: 0.42,
    ioFullAvg10Percent: 0.4,
    memoryFullAvg10Percent: 0,
  });
  t.match(reason((await probeOf(join(fixtures, "pi-4")).sample()).pressure), /psi=1/);
});

t.test("CPU use is counted in the kernel's jiffies", async (t) => {
  const root = changed(t, "bare-vm", {
    "proc/stat": "cpu  100 0 100 800 0 0 0 0\ncpu0 100 0 100 800 0 0 0 0\n",
  });
  const probe = probeOf(root);
  await probe.sample();
  writeFileSync(
    join(root, "proc/stat"),
    "cpu  150 0 125 870 5 0 0 0\ncpu0 150 0 125 870 5 0 0 0\n",
  );
  t.match(there((await probe.sample()).cpu), { usedPercent: 50, perCorePercent: [50] });
  writeFileSync(join(root, "proc/stat"), "cpu  1 0 1 8 0 0 0 0\ncpu0 1 0 1 8 0 0 0 0\n");
  t.equal(
    there((await probe.sample()).cpu).usedPercent,
    undefined,
    "counters went back: no figure",
  );
});

t.test("nothing there, garbage, and files that fail: reasons, never a throw", async (t) => {
  const empty = await new LinuxDeviceProbe({
    root: t.testdir(),
    dataDirectory: "/nowhere",
  }).sample();
  for (const [part, value] of Object.entries(empty)) {
    if (part !== "process") t.ok(!value.available && value.reason.length > 5, part);
  }
  t.match(reason(empty.disk), /\/nowhere.*ENOENT/);

  const root = t.testdir();
  cpSync(join(fixtures, "jetson-orin-nano"), root, { recursive: true });
  const files = execFileSync("find", [root, "-type", "f"], { encoding: "utf8" }).trim().split("\n");
  const garbage = [
    "",
    "\0\0\0\n",
    "NaN\n",
    "-\n",
    `${"9".repeat(400)}\n`,
    "a b c\n\n:::\n%s\n",
    "0x\n",
  ];
  for (const text of garbage) {
    for (const file of files) writeFileSync(file, text);
    const sample = await probeOf(root).sample();
    t.same(JSON.parse(JSON.stringify(sample)), sample, "no NaN, no infinity");
    for (const part of ["cpu", "memory", "pressure", "thermal", "battery", "gpu"] as const) {
      t.equal(sample[part].available, false, `${part} of ${JSON.stringify(text.slice(0, 8))}`);
    }
  }
  for (const file of files) {
    rmSync(file);
    mkdirSync(file);
  }
  const failing: DeviceSample = await probeOf(root).sample();
  t.match(reason(failing.memory), /can not be read/, "files that can not be read (EISDIR)");
});

t.test("a gauge that hangs is absent, is not asked again, and comes back", async (t) => {
  const fifo = "sys/class/hwmon/hwmon2/in1_input";
  const root = changed(t, "pi-ina219-ups", { [fifo]: null });
  // Opened for reading and writing, a named pipe without data blocks like a dead I2C bus.
  execFileSync("/usr/bin/mkfifo", [join(root, fifo)]);
  const holder = await import("node:fs").then((fs) => fs.openSync(join(root, fifo), "r+"));
  const probe = new LinuxDeviceProbe({ root, dataDirectory, answerTimeoutMs: 50 });
  probe.configure(all);
  const first = await probe.sample();
  t.match(reason(first.battery), /no answer within 50 ms/);
  t.equal(first.memory.available, true, "the others are well");
  t.match(reason((await probe.sample()).battery), /has not answered since/);
  const fs = await import("node:fs");
  fs.writeSync(holder, "7644\n");
  fs.closeSync(holder);
  rmSync(join(root, fifo));
  writeFileSync(join(root, fifo), "7644\n");
  let { battery } = await probe.sample();
  for (let i = 0; i < 500 && !battery.available; i += 1) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    ({ battery } = await probe.sample());
  }
  t.equal(there(battery).chargePercent, 68.5);
});

t.test("this machine: what the kernel says now", async (t) => {
  const probe = new LinuxDeviceProbe({ dataDirectory });
  const identity = await probe.identify();
  t.equal(identity.hostname, kernel("/", "proc/sys/kernel/hostname"));
  t.equal(identity.kernel, kernel("/", "proc/sys/kernel/osrelease"));
  const sample = await probe.sample();
  t.equal(there(sample.memory).totalBytes, column("/", "proc/meminfo", /^MemTotal:/, 1) * 1024);
  t.ok(Math.abs(there(sample.uptimeMs).value / 1000 - column("/", "proc/uptime", /./, 0)) < 5);
  t.equal(there(sample.cpu).cores, kernel("/", "proc/stat").match(/^cpu\d+/gm)?.length);
  const rss = column("/", "proc/self/status", /^VmRSS:/, 1) * 1024;
  t.ok(Math.abs(there(sample.process).residentBytes - rss) < 64 * 1024 * 1024);
  t.ok(there(sample.process).cpuMs > 0);
});
