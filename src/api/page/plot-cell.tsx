import { useMemo, useState } from "preact/hooks";
import { formatClock, type Quantity, text } from "./format.ts";
import type { Series } from "./history.ts";
import { LivePlot } from "./live-plot.tsx";
import { Amount } from "./parts.tsx";

/** One resource: its name, the figure now (or under the pointer), its plot. */
export function PlotCell(props: {
  title: string;
  /** CSS custom property that holds the line's colour. */
  colour: string;
  scale: readonly [number, number] | undefined;
  /** Values are divided by this for the plot's own axis, which is in `unit`. */
  divisor: number;
  unit: string;
  show: (value: number | null) => Quantity;
  note: string;
  /** Why this device has none of it. */
  absent: string | undefined;
  series: Series;
  fromSeconds: number;
  toSeconds: number;
}) {
  const { series, show } = props;
  const [pointed, setPointed] = useState<number>();
  const plotted = useMemo(
    () => series.values.map((one) => (one === null ? null : one / props.divisor)),
    [series, props.divisor],
  );
  const index = pointed ?? series.values.length - 1;
  const value = series.values[index] ?? null;
  if (props.absent !== undefined) {
    return (
      <div class="plot-cell absent">
        <h3>{props.title}</h3>
        <p>
          <strong>Not on this device</strong>
          {props.absent}
        </p>
      </div>
    );
  }
  const pointedSeconds = pointed === undefined ? undefined : series.seconds[pointed];
  const range = `${text(show(series.low))} to ${text(show(series.high))}`;
  return (
    <div class="plot-cell">
      <header>
        <h3>
          <span class="swatch" style={{ background: `var(${props.colour})` }} /> {props.title}
        </h3>
        <Amount of={show(value)} />
      </header>
      <p class="plot-note">
        <span>
          {pointedSeconds === undefined ? props.note : `at ${formatClock(pointedSeconds * 1000)}`}
        </span>
        <span>{series.low !== null && range}</span>
      </p>
      <LivePlot
        label={`${props.title}: now ${text(show(value))}, ${range} in the time shown`}
        colour={props.colour}
        scale={props.scale}
        unit={props.unit}
        seconds={series.seconds}
        values={plotted}
        fromSeconds={props.fromSeconds}
        toSeconds={props.toSeconds}
        onPoint={setPointed}
      />
    </div>
  );
}
