import type { Random } from "../src/platform/random.ts";
import { SeededRandom } from "../src/platform/seeded-random.ts";
import type { FaultKind } from "./catalogue.ts";
import type { Traffic } from "./parts/publisher.ts";

/** One fault of a run. */
export interface Step {
  readonly fault: string;
  /** Traffic before it. */
  readonly beforeMs: number;
  /** How long it lasts, or after how long it strikes. */
  readonly forMs: number;
  /** How often, or at the how-manieth call. */
  readonly count: number;
  /** 0 to 1: where, how much. */
  readonly share: number;
}

/** Everything that is drawn for a run before it begins. */
export interface Schedule {
  readonly seed: string;
  readonly traffic: Traffic;
  /** On a small file system in memory, or where temporary files are. */
  readonly disk: "small" | "real";
  readonly uplinkWindow: number;
  readonly uplinkProtocol: "5" | "3.1.1";
  readonly commitLingerMs: number;
  /** The upstream is there from the beginning; otherwise it comes at the end only. */
  readonly upstream: boolean;
  readonly steps: readonly Step[];
}

const STEPS_MAX = 4;

/** @returns the run that belongs to this seed; the same one every time. */
export function drawSchedule(
  seed: string,
  faults: readonly FaultKind[],
  smallDisk: boolean,
): Schedule {
  const random = new SeededRandom(seed);
  const count = 1 + whole(random, STEPS_MAX);
  const kinds = Array.from({ length: count }, () => pick(random, faults));
  // Only the first start makes the store.
  const creation = kinds.find(({ first }) => first === true);
  const later = kinds.filter(({ first }) => first !== true);
  const all = creation === undefined ? later : [creation, ...later];
  // What is cut off by a power cut is known from a record of every call, and nobody can trace a process twice.
  const cut = all.some(({ name }) => name === "power-cut");
  const ordered = cut
    ? all.filter(({ name, needs }) => needs !== "strace" || name === "power-cut")
    : all;
  const needsMount = ordered.some(({ needs }) => needs === "mount");
  return {
    seed,
    traffic: {
      protocolVersion: pick(random, [4, 5]),
      qos: pick(random, [1, 1, 2]),
      streams: 1 + whole(random, 8),
      burst: 1 + whole(random, 20),
      pauseMs: 2 + whole(random, 12),
      payloadBytesMax: pick(random, [20, 200, 200, 3_000]),
    },
    disk: smallDisk && (needsMount || random.next() < 0.7) ? "small" : "real",
    uplinkWindow: pick(random, [1, 10, 100, 1_000]),
    uplinkProtocol: pick(random, ["5", "5", "3.1.1"]),
    commitLingerMs: pick(random, [0, 0, 5, 20]),
    upstream: random.next() < 0.7,
    steps: ordered.map(({ name }) => ({
      fault: name,
      beforeMs: whole(random, 150),
      forMs: 20 + whole(random, 250),
      count: 1 + whole(random, 12),
      share: random.next(),
    })),
  };
}

function whole(random: Random, below: number): number {
  return Math.floor(random.next() * below);
}

function pick<T>(random: Random, from: readonly T[]): T {
  const picked = from[whole(random, from.length)];
  if (picked === undefined) throw new Error("nothing to choose from");
  return picked;
}
