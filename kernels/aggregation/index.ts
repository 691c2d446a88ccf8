import { DONE, job, STOP, TICKET, WAKE } from "./job";
import { distancesToPoint } from "./distances";
import { distancesOfPairs } from "./products";
import { findNotFinite } from "./finite";
import { weightedSum } from "./weighted-sum";
import { meanAroundMedian, median, trimmedMean } from "./order-statistics";

/**
 * Takes blocks of the present job until none is left. A ticket holds the number of blocks beside the next one, so that a
 * thread that comes late takes nothing and reads nothing of a job that is being written.
 * @param scratch memory that no other thread has
 */
export function work(scratch: usize): void {
  for (;;) {
    const ticket = atomic.add<u32>(TICKET, 1);
    const block = <i32>(ticket & 0xfffff);
    const blocks = <i32>(ticket >> 20);
    if (block >= blocks) return;
    run(block, scratch);
    if (atomic.add<i32>(DONE, 1) + 1 == blocks) atomic.notify(DONE, -1);
  }
}

/** What a thread of the pool does all its life. */
export function serve(scratch: usize): void {
  let seen = 0;
  while (atomic.load<i32>(STOP) == 0) {
    const now = atomic.load<i32>(WAKE);
    if (now == seen) {
      atomic.wait<i32>(WAKE, seen, -1);
      continue;
    }
    seen = now;
    work(scratch);
  }
}

function run(block: i32, scratch: usize): void {
  const from = <usize>block * job.blockLength();
  const length = min(job.blockLength(), job.length() - <i32>from);
  switch (job.kind()) {
    case 0: findNotFinite(from, length); break;
    case 1: weightedSum(from, length, scratch); break;
    case 2: distancesOfPairs(block, from, length, scratch); break;
    case 3: distancesToPoint(block, from, length); break;
    case 4: median(from, length, scratch); break;
    case 5: trimmedMean(from, length, scratch); break;
    case 6: meanAroundMedian(from, length, scratch); break;
  }
}
