import type { FirmwareProfile } from "../device/firmware-profile.ts";
import type { DeviceIdentity, DeviceSample, Measured } from "../platform/device-probe.ts";

/** What `agent-mesh device` found. */
export interface DeviceReport {
  readonly identity: DeviceIdentity;
  readonly profile: FirmwareProfile;
  readonly chosenBecause: string;
  readonly sample: DeviceSample;
}

type Row = readonly [label: string, value: string];

/** @returns the report as an aligned table; what is absent is a dash and the reason. */
export function deviceTable(report: DeviceReport): string {
  const sections: [string, Row[]][] = [
    ["Device", identityRows(report)],
    ["Measured now", measuredRows(report.sample)],
  ];
  const width = Math.max(...sections.flatMap(([, rows]) => rows.map(([label]) => label.length)));
  return sections
    .map(([title, rows]) =>
      [title, ...rows.map(([label, value]) => `  ${label.padEnd(width)}  ${value}`)].join("\n"),
    )
    .join("\n\n");
}

function identityRows({ identity, profile, chosenBecause }: DeviceReport): Row[] {
  const { flash, budget } = profile;
  return [
    ["model", identity.model],
    ["compatible", identity.compatible.join(", ") || "— no device tree"],
    ["serial", identity.serial ?? "— none told"],
    ["host name", identity.hostname],
    ["kernel", identity.kernel],
    ["architecture", identity.architecture],
    ["system", identity.operatingSystem],
    ["profile", `${profile.id} (${profile.name}), because ${chosenBecause}`],
    ["budget", `${bytes(budget.memoryBytesMax)} of memory, ${budget.cpuPercentMax} % of one core`],
    ...(flash.notes === undefined ? [] : [["storage", flash.notes] as const]),
  ];
}

function measuredRows(sample: DeviceSample): Row[] {
  return [
    ["cpu", told(sample.cpu, cpuText)],
    [
      "memory",
      told(
        sample.memory,
        (memory) =>
          `${bytes(memory.availableBytes)} of ${bytes(memory.totalBytes)} available, swap ${bytes(memory.swapFreeBytes)} of ${bytes(memory.swapTotalBytes)} free`,
      ),
    ],
    [
      "pressure",
      told(
        sample.pressure,
        (pressure) =>
          `stalled in the last 10 s: cpu ${pressure.cpuSomeAvg10Percent} %, memory ${pressure.memorySomeAvg10Percent} %, io ${pressure.ioSomeAvg10Percent} %`,
      ),
    ],
    [
      "temperature",
      told(
        sample.thermal,
        ({ celsius, zones }) =>
          `${celsius} °C (${zones.map((zone) => `${zone.name} ${zone.celsius}`).join(", ")})`,
      ),
    ],
    ["throttling", told(sample.throttling, throttlingText)],
    ["battery", told(sample.battery, batteryText)],
    [
      "power rails",
      told(sample.powerRails, ({ rails }) =>
        rails.map((rail) => `${rail.name} ${rail.watts} W at ${rail.volts} V`).join(", "),
      ),
    ],
    [
      "disk",
      told(
        sample.disk,
        (disk) =>
          `${bytes(disk.freeBytes)} of ${bytes(disk.totalBytes)} free at ${disk.path}` +
          (disk.writtenBytes === undefined
            ? ""
            : `, ${bytes(disk.writtenBytes)} written since boot`) +
          (disk.readOnly ? ", READ-ONLY" : ""),
      ),
    ],
    [
      "flash wear",
      told(
        sample.flashWear,
        (wear) => `${wear.device} up to ${wear.lifeUsedPercent} % used, reserve ${wear.preEol}`,
      ),
    ],
    ...networkRows(sample.network),
    ["gpu", told(sample.gpu, (gpu) => `${gpu.usedPercent} % used`)],
    ["up", told(sample.uptimeMs, ({ value }) => `${(value / 3_600_000).toFixed(1)} h`)],
  ];
}

function told<T>(measured: Measured<T>, text: (value: T) => string): string {
  return measured.available ? text(measured) : `— ${measured.reason}`;
}

function cpuText(cpu: DeviceSample["cpu"] & { readonly available: true }): string {
  const used = cpu.usedPercent === undefined ? "use not known" : `${cpu.usedPercent} % used`;
  const max = cpu.frequencyMaxHz === undefined ? "" : ` of ${gigahertz(cpu.frequencyMaxHz)}`;
  const frequency =
    cpu.frequencyHz === undefined ? "" : `, ${gigahertz(cpu.frequencyHz)}${max} GHz`;
  return `${used}, ${cpu.cores} cores, load ${cpu.load1} ${cpu.load5} ${cpu.load15}${frequency}`;
}

function throttlingText(
  throttling: DeviceSample["throttling"] & { readonly available: true },
): string {
  return (
    `under-voltage ${word(throttling.underVoltageNow)} (since boot ${word(throttling.underVoltageSinceBoot)}), ` +
    `throttled ${word(throttling.throttledNow)} (since boot ${word(throttling.throttledSinceBoot)}), ` +
    `frequency capped ${word(throttling.frequencyCappedNow)}; told by ${throttling.sources.join(", ")}`
  );
}

function word(value: boolean | undefined): string {
  if (value === undefined) return "unknown";
  return value ? "YES" : "no";
}

function batteryText(battery: DeviceSample["battery"] & { readonly available: true }): string {
  const charge =
    battery.chargePercent === undefined
      ? "charge unknown (set device.battery.voltsRange)"
      : `${battery.chargePercent} %${battery.chargeEstimated === true ? " (from voltage)" : ""}`;
  const parts = [
    `${battery.name} ${charge}`,
    battery.state === "unknown" ? "charging or not is unknown" : battery.state,
    ...(battery.volts === undefined ? [] : [`${battery.volts} V`]),
    ...(battery.watts === undefined ? [] : [`${battery.watts} W`]),
  ];
  return parts.join(", ");
}

function networkRows(network: DeviceSample["network"]): Row[] {
  if (!network.available) return [["network", `— ${network.reason}`]];
  return network.interfaces.map((link) => {
    const parts = [
      link.up ? "up" : "down",
      ...(link.speedMbps === undefined ? [] : [`${link.speedMbps} Mbit/s`]),
      ...(link.signalDbm === undefined ? [] : [`${link.signalDbm} dBm`]),
      `${bytes(link.receivedBytes)} in`,
      `${bytes(link.sentBytes)} out`,
    ];
    return [`${link.wireless ? "wi-fi" : "network"} ${link.name}`, parts.join(", ")] as const;
  });
}

function gigahertz(hertz: number): string {
  return (hertz / 1e9).toFixed(2);
}

function bytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(value) / 10));
  const scaled = value / 1024 ** power;
  return `${power === 0 ? scaled : scaled.toFixed(scaled < 100 ? 1 : 0)} ${units[power] ?? "B"}`;
}
