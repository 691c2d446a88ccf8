// Bindings, readings and histories for the tests of sensor streams.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Clone, Default } from "typebox/value";
import type { Series } from "../../../src/federated/data/windows.ts";
import {
  type StreamBinding,
  streamBindingOptions,
} from "../../../src/federated/streams/binding.ts";
import type { AcceptedReading } from "../../../src/federated/streams/stream-recorder.ts";

export const HOUR_MS = 3_600_000;

/** @returns a binding with what is left out filled in; one channel `t` of `plant/t` each second unless said otherwise */
export function bindingOf(said: object = {}): StreamBinding {
  const channel = { name: "t", topic: "plant/t" };
  const least = {
    kind: "streams",
    channels: [channel],
    everyMs: 1_000,
    windowLength: 4,
    gapMsMax: 10_000,
    historyMs: HOUR_MS,
    samplesMax: 1_000,
    normalize: "none",
    goal: { kind: "reconstruct" },
  };
  return Default(streamBindingOptions, Clone({ ...least, ...said })) as StreamBinding;
}

const BEGIN_MS = 1_700_000_000_000;

/** @returns a reading so many seconds after the first, with a clock that is right unless said otherwise */
export function reading(
  seconds: number,
  payload: string | number,
  said: Partial<AcceptedReading> = {},
): AcceptedReading {
  return {
    stream: "plant/t",
    payload: Buffer.from(String(payload)),
    observedAtMs: BEGIN_MS + seconds * 1_000,
    observedAtTrusted: true,
    monotonicMs: 5_000 + seconds * 1_000,
    bootId: "boot-1",
    ...said,
  };
}

/** @returns a history of these rows, one a second unless moments are given */
export function seriesOf(
  rows: readonly (readonly number[])[],
  seconds?: readonly number[],
): Series {
  const channels = rows[0]?.length ?? 1;
  return {
    atMs: Float64Array.from(rows, (_, at) => (seconds?.[at] ?? at) * 1_000),
    values: Float32Array.from(rows.flat()),
    channels,
  };
}

const SOURCE = "https://raw.githubusercontent.com/numenta/NAB/master";
const FILE = "data/realKnownCause/machine_temperature_system_failure.csv";
const FETCH_TIMEOUT_MS = 20_000;

/** A reading of the machine. */
interface MachineReading {
  readonly atMs: number;
  readonly value: number;
}

/**
 * A machine's temperature every five minutes, of the Numenta Anomaly Benchmark (MIT licence): from a checkout that `NAB` names,
 * or fetched.
 * @returns why it can not be had, in words for a skipped test
 */
export async function machineTemperature(): Promise<readonly MachineReading[] | string> {
  let text: string;
  try {
    const checkout = process.env["NAB"];
    text =
      checkout === undefined
        ? await fetched(`${SOURCE}/${FILE}`)
        : readFileSync(join(checkout, FILE), "utf8");
  } catch (error) {
    return `offline: ${SOURCE}/${FILE}: ${String(error)}; NAB names a checkout`;
  }
  const rows = text.trim().split("\n").slice(1);
  return rows.map((row) => {
    const [time = "", value] = row.split(",");
    return { atMs: Date.parse(`${time.replace(" ", "T")}Z`), value: Number(value) };
  });
}

async function fetched(url: string): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) });
  if (!response.ok) throw new Error(`status ${response.status}`);
  return response.text();
}

/** Times of the failures, as the benchmark labels them. */
export const machineFailures = [
  ["2013-12-10T06:25:00Z", "2013-12-12T05:35:00Z"],
  ["2013-12-15T17:50:00Z", "2013-12-17T17:00:00Z"],
  ["2014-01-27T14:20:00Z", "2014-01-29T13:30:00Z"],
  ["2014-02-07T14:55:00Z", "2014-02-09T14:05:00Z"],
].map(([from = "", to = ""]) => ({ fromMs: Date.parse(from), toMs: Date.parse(to) }));
