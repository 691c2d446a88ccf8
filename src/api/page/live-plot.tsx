import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";

/** A scale that follows its values spans at least this much, so that noise does not look like drama. */
const SPAN_MIN = 10;
/** Ticks say hours and minutes, so they stand at whole minutes. */
const TICK_SECONDS = [60, 120, 300, 600, 900, 1200, 1800, 3600];
const AXIS_FONT = "11px system-ui, sans-serif";

interface Props {
  readonly label: string;
  readonly colour: string;
  readonly scale: readonly [number, number] | undefined;
  readonly unit: string;
  readonly seconds: number[];
  readonly values: (number | null)[];
  readonly fromSeconds: number;
  readonly toSeconds: number;
  /** Index of the point under the pointer (on any of the synchronized plots), undefined without one. */
  readonly onPoint: (index: number | undefined) => void;
}

/** A time plot drawn by uPlot on a canvas; redrawn in place as points arrive. */
export function LivePlot(props: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const latest = useRef(props);
  latest.current = props;

  useEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const draw = () => {
      plot.current?.destroy();
      plot.current = new uPlot(
        optionsFor(element, () => latest.current),
        [latest.current.seconds, latest.current.values],
        element,
      );
    };
    draw();
    const resized = new ResizeObserver(() => {
      plot.current?.setSize({ width: element.clientWidth, height: element.clientHeight });
    });
    resized.observe(element);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", draw);
    return () => {
      resized.disconnect();
      dark.removeEventListener("change", draw);
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, []);

  useEffect(() => {
    plot.current?.setData([props.seconds, props.values]);
  }, [props.seconds, props.values]);

  return <div class="plot" ref={box} role="img" aria-label={props.label} />;
}

function optionsFor(element: HTMLElement, current: () => Props): uPlot.Options {
  const styles = getComputedStyle(element);
  const colour = (name: string) => styles.getPropertyValue(name).trim();
  const { colour: own, scale, unit } = current();
  const line = colour(own);
  const grid = { stroke: colour("--plot-grid"), width: 1 };
  const axis = {
    stroke: colour("--muted"),
    font: AXIS_FONT,
    grid,
    ticks: { show: false },
  };
  return {
    width: element.clientWidth,
    height: element.clientHeight,
    padding: [6, 16, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      drag: { x: false, y: false },
      points: { size: 7, fill: line },
      sync: { key: "resources" },
    },
    hooks: {
      setCursor: [
        (self) => {
          const inside = (self.cursor.left ?? -1) >= 0;
          current().onPoint(inside ? (self.cursor.idx ?? undefined) : undefined);
        },
      ],
    },
    scales: {
      x: { range: () => [current().fromSeconds, current().toSeconds] },
      y: { range: (_, low, high) => (scale === undefined ? paddedRange(low, high) : [...scale]) },
    },
    axes: [
      {
        ...axis,
        size: 20,
        gap: 4,
        space: 56,
        incrs: TICK_SECONDS,
        grid: { show: false },
        values: clockTicks,
      },
      {
        ...axis,
        size: 38,
        gap: 5,
        space: 22,
        values: (_, ticks) => ticks.map((tick, index) => tickWords(tick, index, ticks, unit)),
      },
    ],
    series: [
      {},
      {
        stroke: line,
        width: 1.5,
        fill: `${line}1f`,
        points: { show: false },
      },
    ],
  };
}

function paddedRange(low: number | null, high: number | null): [number, number] {
  if (low === null || high === null) return [0, SPAN_MIN];
  const missing = Math.max(0, SPAN_MIN - (high - low));
  const floor = low >= 0 ? 0 : Number.NEGATIVE_INFINITY;
  return [Math.max(floor, Math.floor(low - missing / 2 - 1)), Math.ceil(high + missing / 2 + 1)];
}

/** The unit stands at the top tick only: it is the same for all. */
function tickWords(tick: number, index: number, ticks: readonly number[], unit: string): string {
  return index === ticks.length - 1 && unit.length <= 2 ? `${tick}${unit}` : String(tick);
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

function clockTicks(_: uPlot, ticks: number[]): string[] {
  return ticks.map((seconds) => clock.format(seconds * 1000));
}
