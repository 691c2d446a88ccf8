import { readFile } from "node:fs/promises";
import { join } from "node:path";

const FILE = "data/realKnownCause/machine_temperature_system_failure.csv";
const SOURCE = `https://raw.githubusercontent.com/numenta/NAB/master/${FILE}`;
const FETCH_TIMEOUT_MS = 10_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** A step of what is replayed: the mean of half an hour. */
export const STEP_MS = HOUR_MS / 2;

/** A value of the machine, and when it really was. */
export interface Moment {
  readonly atMs: number;
  readonly value: number;
}

/** A time, both ends in it. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** What a machine does: a stretch of the series, and the failures in it. */
export interface Stretch {
  readonly name: string;
  readonly moments: readonly Moment[];
  readonly failures: readonly Span[];
}

/** A machine's temperature, cut into what agents learn from and what they are judged by. */
export interface MachineSeries {
  readonly source: string;
  /** A week each, without a failure. */
  readonly weeks: readonly Stretch[];
  /** Those with failures first; each of another length. */
  readonly trials: readonly Stretch[];
}

/** As the benchmark labels them. */
const FAILURES: readonly Span[] = [
  span("2013-12-10T06:25Z", "2013-12-12T05:35Z"),
  span("2013-12-15T17:50Z", "2013-12-17T17:00Z"),
  span("2014-01-27T14:20Z", "2014-01-29T13:30Z"),
  span("2014-02-07T14:55Z", "2014-02-09T14:05Z"),
];
const WEEKS = ["2013-12-03", "2013-12-20", "2013-12-28", "2014-01-05", "2014-01-12"];
const TRIALS = [
  ["December", span("2013-12-08T00:00Z", "2013-12-18T12:00Z")],
  ["February", span("2014-02-04T12:00Z", "2014-02-12T00:00Z")],
  ["late January", span("2014-01-25T00:00Z", "2014-01-31T12:00Z")],
  ["a quiet week", span("2014-01-18T00:00Z", "2014-01-24T00:00Z")],
] as const;

/** Reads the series of `NAB`, or fetches it, or makes one up. @throws Error when what `NAB` names can not be read */
export async function machineSeries(): Promise<MachineSeries> {
  const checkout = process.env["NAB"];
  if (checkout !== undefined)
    return cut(`NAB in ${checkout}`, parsed(await readFile(join(checkout, FILE), "utf8")));
  try {
    const response = await fetch(SOURCE, { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) });
    if (!response.ok) throw new Error(`status ${response.status}`);
    return cut("NAB from GitHub", parsed(await response.text()));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return cut(`made up, since ${SOURCE} can not be fetched (${why})`, madeUp());
  }
}

function parsed(text: string): readonly Moment[] {
  const rows = text.trim().split("\n").slice(1);
  return rows.map((row) => {
    const [time = "", value] = row.split(",");
    return { atMs: Date.parse(`${time.replace(" ", "T")}Z`), value: Number(value) };
  });
}

function cut(source: string, moments: readonly Moment[]): MachineSeries {
  const steps = halfHours(moments);
  const stretch = (name: string, { fromMs, toMs }: Span): Stretch => ({
    name,
    moments: steps.filter(({ atMs }) => atMs >= fromMs && atMs < toMs),
    failures: FAILURES.filter((failure) => failure.fromMs < toMs && failure.toMs > fromMs),
  });
  return {
    source,
    weeks: WEEKS.map((day) => {
      const fromMs = Date.parse(`${day}T00:00Z`);
      return stretch(`the week from ${day}`, { fromMs, toMs: fromMs + 7 * DAY_MS });
    }),
    trials: TRIALS.map(([name, at]) => stretch(name, at)),
  };
}

function halfHours(moments: readonly Moment[]): readonly Moment[] {
  const sums = new Map<number, { sum: number; count: number }>();
  for (const { atMs, value } of moments) {
    const step = Math.floor(atMs / STEP_MS) * STEP_MS;
    const so = sums.get(step) ?? { sum: 0, count: 0 };
    sums.set(step, { sum: so.sum + value, count: so.count + 1 });
  }
  return Array.from(sums, ([atMs, { sum, count }]) => ({ atMs, value: sum / count })).toSorted(
    (one, other) => one.atMs - other.atMs,
  );
}

/** A day's wave, a slow drift and noise; at the labelled times the machine cools down by 30 degrees. Always the same. */
function madeUp(): readonly Moment[] {
  const beginMs = Date.parse("2013-12-02T21:15Z");
  const count = Math.floor((Date.parse("2014-02-19T15:25Z") - beginMs) / 300_000);
  let drift = 0;
  let seed = 20_131_202;
  // Lehmer's generator with Park and Miller's multiplier: enough for noise.
  const noise = (): number => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed / 2_147_483_647 - 0.5;
  };
  return Array.from({ length: count }, (_, at) => {
    const atMs = beginMs + at * 300_000;
    drift = 0.999 * drift + 0.4 * noise();
    const fails = FAILURES.some(({ fromMs, toMs }) => {
      const middleMs = (fromMs + toMs) / 2;
      return atMs >= middleMs && atMs < toMs;
    });
    const wave = 6 * Math.sin((2 * Math.PI * atMs) / DAY_MS);
    return { atMs, value: 88 + wave + drift + 2 * noise() - (fails ? 30 : 0) };
  });
}

function span(from: string, to: string): Span {
  return { fromMs: Date.parse(from), toMs: Date.parse(to) };
}
