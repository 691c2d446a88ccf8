import { useMemo } from "preact/hooks";
import { byteQuantity, formatBytes, type Quantity, quantity } from "./format.ts";
import { HISTORY_WINDOW_MS, type Series, seriesOf, usedPercent } from "./history.ts";
import type { ResourcePoint, Sample } from "./model.ts";
import type { PageState } from "./page-state.ts";
import { Empty, Panel } from "./parts.tsx";
import { PlotCell } from "./plot-cell.tsx";
import { MoreFacts } from "./resource-facts.tsx";

const DEFAULT_SAMPLING_MS = 5000;
/** A window shorter than this would draw the first minute as if it were the whole day. */
const WINDOW_MIN_MS = 120_000;

const NO_SERIES: Series = { seconds: [], values: [], low: null, high: null };

interface Plot {
  readonly field: Exclude<keyof ResourcePoint, "wallMs">;
  readonly title: string;
  readonly colour: string;
  readonly unit: string;
  /** Fixed scale, or undefined to follow the values. */
  readonly scale?: readonly [number, number];
  readonly show: (value: number | null) => Quantity;
  /** A word on what the figure is a share of. */
  readonly note: (sample: Sample) => string;
  /** Why there is none, on a device that lacks it. */
  readonly absent: (sample: Sample) => string | undefined;
}

const percent = (value: number | null) => quantity(value, "%");
const PLOTS: readonly Plot[] = [
  {
    field: "cpuPercent",
    title: "CPU",
    colour: "--series-cpu",
    unit: "%",
    scale: [0, 100],
    show: percent,
    note: ({ cpu }) => (cpu.available ? `${cpu.cores} cores, load ${cpu.load1.toFixed(2)}` : ""),
    absent: ({ cpu }) => (cpu.available ? undefined : cpu.reason),
  },
  {
    field: "memoryPercent",
    title: "Memory",
    colour: "--series-memory",
    unit: "%",
    scale: [0, 100],
    show: percent,
    note: ({ memory }) =>
      memory.available
        ? `${formatBytes(memory.totalBytes - memory.availableBytes)} of ${formatBytes(memory.totalBytes)}`
        : "",
    absent: ({ memory }) => (memory.available ? undefined : memory.reason),
  },
  {
    field: "celsius",
    title: "Temperature",
    colour: "--series-heat",
    unit: "°C",
    show: (value) => quantity(value, "°C"),
    note: ({ thermal }) =>
      thermal.available
        ? `hottest of ${thermal.zones.length} ${thermal.zones.length === 1 ? "zone" : "zones"}`
        : "",
    absent: ({ thermal }) => (thermal.available ? undefined : thermal.reason),
  },
  {
    field: "batteryPercent",
    title: "Battery",
    colour: "--series-battery",
    unit: "%",
    scale: [0, 100],
    show: percent,
    note: ({ battery }) => (battery.available ? batteryNote(battery) : ""),
    absent: ({ battery }) => {
      if (!battery.available) return battery.reason;
      return battery.chargePercent === undefined ? "its gauge tells voltage only" : undefined;
    },
  },
  {
    field: "diskPercent",
    title: "Disk",
    colour: "--series-disk",
    unit: "%",
    scale: [0, 100],
    show: percent,
    note: ({ disk }) =>
      disk.available
        ? `${formatBytes(disk.freeBytes)} free of ${formatBytes(disk.totalBytes)}`
        : "",
    absent: ({ disk }) => (disk.available ? undefined : disk.reason),
  },
  {
    field: "residentBytes",
    title: "Agent RAM",
    colour: "--series-agent",
    unit: "MiB",
    show: byteQuantity,
    note: ({ process, memory }) =>
      process.available && memory.available && memory.totalBytes > 0
        ? `${(usedPercent(memory.totalBytes, memory.totalBytes - process.residentBytes) ?? 0).toFixed(1)} % of the device`
        : "",
    absent: ({ process }) => (process.available ? undefined : process.reason),
  },
];

function batteryNote(battery: {
  readonly state: string;
  readonly volts?: number | undefined;
  readonly watts?: number | undefined;
}): string {
  const parts = [
    battery.state,
    battery.volts === undefined ? undefined : `${battery.volts.toFixed(2)} V`,
    battery.watts === undefined ? undefined : `${Math.abs(battery.watts).toFixed(1)} W`,
  ];
  return parts.filter((part) => part !== undefined).join(", ");
}

/** What this device lacks stands last. */
function inOrder(sample: Sample): { plot: Plot; index: number }[] {
  const all = PLOTS.map((plot, index) => ({ plot, index }));
  const lacks = ({ plot }: { plot: Plot }) => plot.absent(sample) !== undefined;
  return [...all.filter((one) => !lacks(one)), ...all.filter(lacks)];
}

function windowWords(windowMs: number): string {
  const minutes = Math.round(windowMs / 60_000);
  return minutes >= 59 ? "last hour" : `last ${minutes} minutes`;
}

/** The body, live: small plots on one time axis, and what else was measured. */
export function ResourcesPanel(props: { state: PageState; now: number }) {
  const { snapshot, history, power, faults } = props.state;
  const last = history.at(-1)?.wallMs ?? props.now;
  const first = history[0]?.wallMs ?? last;
  const windowMs = Math.min(HISTORY_WINDOW_MS, Math.max(WINDOW_MIN_MS, last - first));
  const gapMs = 4 * Math.max(power?.settings.samplingIntervalMs ?? 0, DEFAULT_SAMPLING_MS);
  // Drawn again every second for the ages shown, but computed only when there is a new point.
  const series = useMemo(
    () => PLOTS.map(({ field }) => seriesOf(history, field, gapMs)),
    [history, gapMs],
  );
  const lackingHistory = faults.get("history");
  return (
    <Panel
      id="resources"
      title="Resources"
      fault={faults.get("resources") ?? lackingHistory}
      aside={snapshot !== undefined && <span>{windowWords(windowMs)}</span>}
    >
      {snapshot === undefined ? (
        <Empty>No sample has been taken yet.</Empty>
      ) : (
        <>
          <div class="plots">
            {inOrder(snapshot.sample).map(({ plot, index }) => (
              <PlotCell
                key={plot.field}
                title={plot.title}
                colour={plot.colour}
                scale={plot.scale}
                divisor={plot.unit === "MiB" ? 2 ** 20 : 1}
                unit={plot.unit}
                show={plot.show}
                note={plot.note(snapshot.sample)}
                absent={plot.absent(snapshot.sample)}
                series={series[index] ?? NO_SERIES}
                fromSeconds={(last - windowMs) / 1000}
                toSeconds={last / 1000}
              />
            ))}
          </div>
          <MoreFacts sample={snapshot.sample} />
        </>
      )}
    </Panel>
  );
}
