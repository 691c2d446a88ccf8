import { parentPort, workerData } from "node:worker_threads";
import { SimdTrainingBackend } from "./training-backend.ts";
import { TrainingDesk } from "./training-desk.ts";
import type { Request } from "./training-messages.ts";

// The training thread: the one file that runs in a thread of its own, started by training-thread.ts.
const port = parentPort;
if (port !== null) {
  const { memoryBytesMax } = workerData as { readonly memoryBytesMax?: number };
  const desk = new TrainingDesk(
    new SimdTrainingBackend(memoryBytesMax === undefined ? {} : { memoryBytesMax }),
    (reply) => {
      port.postMessage(reply);
    },
    () => new Promise((resolve) => setImmediate(resolve)),
    () => performance.now(),
  );
  port.on("message", (request: Request) => {
    void desk.handle(request);
  });
}
