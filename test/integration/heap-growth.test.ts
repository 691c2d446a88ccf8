import { execFileSync } from "node:child_process";
import { join } from "node:path";
import t from "tap";

const module = join(import.meta.dirname, "../../src/platform/node/heap-growth.ts");
/** How far the heap may go between two collections of all of it, with 40 MB alive, told by what is there when one ends. */
const PROGRAM = `
import { PerformanceObserver } from "node:perf_hooks";
import { letHeapGrow } from ${JSON.stringify(module)};
const MAJOR = 4;
const kept = Array.from({ length: 400_000 }, (_, at) => ({ at, next: [at] }));
const garbage = [];
async function collections() {
  let count = 0;
  const observer = new PerformanceObserver((list) => {
    for (const { detail } of list.getEntries()) if (detail.kind === MAJOR) count++;
  });
  observer.observe({ entryTypes: ["gc"] });
  for (let at = 0; at < 3_000_000; at++) {
    garbage[at % 100_000] = { at, next: [at] };
    if (at % 10_000 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
  observer.disconnect();
  return count;
}
await collections();
const small = await collections();
const undo = letHeapGrow(400);
await collections();
const large = await collections();
undo();
undo();
await collections();
console.log(JSON.stringify({ small, large, after: await collections(), kept: kept.length }));
`;

function run(flags: readonly string[]): { small: number; large: number; after: number } {
  const words = [...flags, "--input-type=module-typescript", "--eval", PROGRAM];
  return JSON.parse(execFileSync(process.execPath, words, { encoding: "utf8" }));
}

t.test("a heap that is kept small may grow for a time", async (t) => {
  const { small, large, after } = run(["--max-semi-space-size=1", "--heap-growing-percent=30"]);
  t.ok(large < small, `${large} collections instead of ${small}`);
  t.ok(after > large, `${after} again afterwards`);
});
