import { parentPort, workerData } from "node:worker_threads";
import { SimdTrainingBackend } from "./training-backend.ts";
import { TrainingDesk } from "./training-desk.ts";
import type { Reply, Request } from "./training-messages.ts";

// The training thread: the one file that runs in a thread of its own, started by training-thread.ts.
const port = parentPort;
if (port !== null) {
  const { memoryBytesMax } = workerData as { readonly memoryBytesMax?: number };
  const desk = new TrainingDesk(
    new SimdTrainingBackend(memoryBytesMax === undefined ? {} : { memoryBytesMax }),
    (reply) => {
      port.postMessage(reply, ownIn(reply));
    },
    () => new Promise((resolve) => setImmediate(resolve)),
    () => performance.now(),
  );
  port.on("message", (request: Request) => {
    void desk.handle(request);
  });
}

/** @returns memory of arrays in an answer: they are copies that were made for it, so they move instead of being copied once more */
function ownIn(reply: Reply): ArrayBuffer[] {
  if (reply.kind !== "answer") return [];
  const { answer } = reply;
  if (typeof answer !== "object" || answer === null) return [];
  const checkpoint = "checkpoint" in answer ? answer.checkpoint : answer;
  const arrays =
    checkpoint instanceof Float32Array ? [checkpoint] : Object.values(checkpoint ?? {});
  return arrays.flatMap((each) =>
    each instanceof Float32Array && each.buffer instanceof ArrayBuffer ? [each.buffer] : [],
  );
}
