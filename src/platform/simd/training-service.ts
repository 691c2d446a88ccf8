import type { MessagePort } from "node:worker_threads";
import { SimdTrainingBackend } from "./training-backend.ts";
import { TrainingDesk } from "./training-desk.ts";
import { type OtherRequest, type Reply, type Request, sent } from "./training-messages.ts";

/** What came of work beside training. */
interface Done {
  readonly answer: unknown;
  /** Memory in the answer that moves instead of being copied. */
  readonly moved: readonly (Uint8Array | Float32Array)[];
}

/** What a thread does beside training, between slices of it: whoever trains waits so long. */
export type OtherWork = (ask: never) => Done | Promise<Done>;

/**
 * The side of `training-thread.ts` that runs in the thread.
 * @param others what it can be asked beside training, by name
 */
export function serveTraining(
  port: MessagePort,
  options: { readonly memoryBytesMax?: number },
  others: Readonly<Record<string, OtherWork>>,
): void {
  const desk = new TrainingDesk(
    new SimdTrainingBackend(options),
    (reply) => {
      port.postMessage(reply, ownIn(reply));
    },
    () => new Promise((resolve) => setImmediate(resolve)),
    () => performance.now(),
  );
  const doOther = async ({ id, name, ask }: OtherRequest): Promise<void> => {
    try {
      const work = others[name];
      if (work === undefined) throw new Error(`nobody does ${name} here`);
      const { answer, moved } = await work(ask);
      const reply: Reply = { id, kind: "answer", answer };
      port.postMessage(reply, moved.flatMap(ownMemory));
    } catch (error) {
      port.postMessage(sent(id, error));
    }
  };
  port.on("message", (request: Request | OtherRequest) => {
    if (request.kind === "other") void doOther(request);
    else void desk.handle(request);
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
  return arrays.flatMap((each) => (each instanceof Float32Array ? ownMemory(each) : []));
}

function ownMemory({ buffer }: Float32Array | Uint8Array): ArrayBuffer[] {
  return buffer instanceof ArrayBuffer ? [buffer] : [];
}
