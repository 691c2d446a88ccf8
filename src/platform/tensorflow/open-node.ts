import { createRequire } from "node:module";
import { resolve } from "node:path";
import util from "node:util";
import { TrainingError } from "../training-backend.ts";
import type { TensorFlow } from "./library.ts";
import { TensorFlowBackend } from "./tensorflow-backend.ts";

const PACKAGE = "@tensorflow/tfjs-node";

/** Its name for the backend that is TensorFlow's library. */
const GROUND = "tensorflow";

/** What the library calls although Node.js 23 took it away. */
interface OldUtil {
  isNullOrUndefined?: (value: unknown) => boolean;
  isArray?: (value: unknown) => boolean;
}

/**
 * TensorFlow's own library by `@tensorflow/tfjs-node`, which is no dependency of ours: whoever wants it installs it.
 * The same bits come only from the same number of its threads (`TF_NUM_INTRAOP_THREADS`) on the same kind of processor.
 * @param from the directory where it was installed; the working directory unless given
 * @throws TrainingError `training.backend` saying how to install it
 */
export function openTensorFlowNode(from: string = process.cwd()): TensorFlowBackend {
  const old = util as OldUtil;
  old.isNullOrUndefined ??= (value) => value === null || value === undefined;
  old.isArray ??= (value) => Array.isArray(value);
  let tf: TensorFlow;
  try {
    tf = createRequire(resolve(from, "package.json"))(PACKAGE) as TensorFlow;
  } catch (error) {
    const what = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
    throw new TrainingError(
      "training.backend",
      `${PACKAGE} can not be loaded from ${from} (${what}); install it and TensorFlow's library there as ` +
        "docs/learning-native.md says (`npm install @tensorflow/tfjs-node@4.22.0`), or train with another backend",
      { cause: error },
    );
  }
  // Not whether it runs on it now: all copies of the library in a process share what is set, and another may have set its own.
  if (tf.findBackend(GROUND) === null)
    throw new TrainingError(
      "training.backend",
      `${PACKAGE} from ${from} runs on ${tf.getBackend()} and has not TensorFlow's library, which is missing or of ` +
        "another processor: docs/learning-native.md says how to have it",
    );
  return new TensorFlowBackend(tf, "tensorflow-node", GROUND);
}
