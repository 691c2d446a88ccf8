import { randomUUID } from "node:crypto";
import { constants } from "node:os";
import { endLeftovers } from "../../scripts/testing/leftovers.ts";
import { removeTemporaryDirectories } from "./processes.ts";

/** Every process of a bench inherits it. */
const MARKER = "AGENT_MESH_BENCH_RUN";
/** For what ends by itself, having had the same signal from the terminal. */
const GRACE_MS = 2_000;

/** From now on a bench that is told to stop takes its processes and files along. */
export function leaveNothing(): void {
  const run = randomUUID();
  process.env[MARKER] = run;
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => {
      process.stderr.write(`bench: ${signal}; ending what it started\n`);
      void endLeftovers(run, GRACE_MS, MARKER).then(() => {
        removeTemporaryDirectories();
        process.exit(128 + constants.signals[signal]);
      });
    });
}
