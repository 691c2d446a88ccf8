import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** @returns the thread of a process that has a processor most of the time now */
export async function busiestThread(pid: number): Promise<number> {
  const before = new Map(threadsOf(pid).map((thread) => [thread, threadMs(pid, thread)]));
  await sleep(400);
  const [busiest = pid] = [...before]
    .map(([thread, usedMs]) => [thread, threadMs(pid, thread) - usedMs] as const)
    .toSorted(([, one], [, other]) => other - one)
    .map(([thread]) => thread);
  return busiest;
}

function threadsOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).map(Number);
}

/** @returns how long a thread has had a processor, in ms */
function threadMs(pid: number, thread: number): number {
  try {
    return (
      Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]) / 1e6
    );
  } catch {
    return 0;
  }
}

/** Whoever trains does not stay away for so long. */
const PAUSE_MS = 500;
/** Collections of garbage, which come two seconds after the work, take no longer in all; training takes most of any time. */
const TRACE_MS = 50;

/**
 * Looks at a thread until it has had no more than a trace of a processor for so long.
 * @returns after how many ms from the call on it had come to rest
 */
export async function restsAfterMs(pid: number, thread: number, quietMs: number): Promise<number> {
  const fromMs = performance.now();
  let usedMs = threadMs(pid, thread);
  let [restedMs, traceMs] = [0, 0];
  for (;;) {
    await sleep(5);
    const nowMs = performance.now() - fromMs;
    const used = threadMs(pid, thread);
    const workedMs = used - usedMs;
    usedMs = used;
    // Messages that wake it for a moment are no training.
    if (workedMs > 1) {
      if (nowMs - restedMs > PAUSE_MS) traceMs += workedMs;
      if (nowMs - restedMs <= PAUSE_MS || traceMs > TRACE_MS) restedMs = nowMs;
    }
    if (nowMs - restedMs > quietMs + PAUSE_MS) return restedMs;
    if (nowMs > 60_000) throw new Error("the thread works on");
  }
}
