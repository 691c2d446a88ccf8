import { readFileSync } from "node:fs";
import { getHeapStatistics } from "node:v8";
import type { Scenario } from "../../simulator/run/scenario.ts";
import { bytes } from "../output.ts";

/** What an agent takes besides its table, and for each member in it; measured with 10,000 and 97,000 agents. */
const AGENT_BYTES = 170_000;
const MEMBER_BYTES = 830;
/** As much of that lies in V8's heap, which asks the kernel for each piece of it. */
const HEAP_SHARE = 0.85;
const HEAP_PIECE_BYTES = 262_144;
/** Of the kernel's limit of pieces: some are other things. */
const PIECES_SHARE_MAX = 0.9;

/** By how much V8's heap may grow before all of it is marked again: that much is in `AGENT_BYTES` and `MEMBER_BYTES`, and this much at most. */
const GROWTH_MIN = 0.2;
const GROWTH_MAX = 0.5;
/** Of the memory that is free. */
const MEMORY_SHARE_MAX = 0.7;

/** What this machine has for a simulation. */
export interface Machine {
  /** Memory that nobody else uses. */
  readonly freeBytes: number;
  readonly heapBytesMax: number;
  /** How many pieces of memory a process may have (`vm.max_map_count`); undefined where there is no such limit. */
  readonly piecesMax?: number;
}

/** @returns what of it this process may have */
export function thisMachine(): Machine {
  const machine = {
    freeBytes: process.availableMemory(),
    heapBytesMax: getHeapStatistics().heap_size_limit,
  };
  try {
    const piecesMax = Number(readFileSync("/proc/sys/vm/max_map_count", "utf8"));
    return { ...machine, piecesMax };
  } catch {
    return machine; // Not on Linux.
  }
}

/**
 * What so large a fleet would die of after hours of work, as well as that can be told beforehand.
 * @returns sentences that say what to do; none where there is room
 */
export function lackOfRoom(
  { agents, membersMax }: Pick<Scenario, "agents" | "membersMax">,
  { freeBytes, heapBytesMax, piecesMax = Number.POSITIVE_INFINITY }: Machine,
): string[] {
  const allBytes = bytesOf(agents, membersMax);
  const heapBytes = allBytes * HEAP_SHARE;
  const pieces = Math.ceil(heapBytes / HEAP_PIECE_BYTES);
  const fleet = `${agents.toLocaleString("en")} agents`;
  const lacks: string[] = [];
  if (allBytes > freeBytes)
    lacks.push(
      `${fleet} take some ${bytes(allBytes)} of memory, and ${bytes(freeBytes)} are free; smaller tables (membersMax) take less`,
    );
  if (heapBytes > heapBytesMax)
    lacks.push(
      `${fleet} take some ${bytes(heapBytes)} of heap, and Node.js was given ${bytes(heapBytesMax)} (--max-old-space-size in bin/agent-mesh)`,
    );
  if (pieces > PIECES_SHARE_MAX * piecesMax)
    lacks.push(
      `${fleet} take some ${pieces} pieces of memory, and the kernel allows ${piecesMax}; as root: sysctl vm.max_map_count=${2 ** Math.ceil(Math.log2(2 * pieces))}`,
    );
  return lacks;
}

/**
 * To mark the heap of a large fleet takes seconds, and is done whenever so much is new: the more, the seldomer.
 * @returns percent beyond what is alive, as much as there is memory for
 */
export function heapGrowthPercent(
  { agents, membersMax }: Pick<Scenario, "agents" | "membersMax">,
  { freeBytes }: Pick<Machine, "freeBytes">,
): number {
  const aliveBytes = bytesOf(agents, membersMax) / (1 + GROWTH_MIN);
  const growth = (MEMORY_SHARE_MAX * freeBytes) / aliveBytes - 1;
  return Math.round(100 * Math.min(Math.max(growth, GROWTH_MIN), GROWTH_MAX));
}

function bytesOf(agents: number, membersMax: number): number {
  return agents * (AGENT_BYTES + MEMBER_BYTES * Math.min(agents, membersMax));
}
