import { createRequire } from "node:module";
import { join } from "node:path";
import util from "node:util";
import { TrainingError } from "../training-backend.ts";
import type { TensorFlow } from "./library.ts";
import { TensorFlowBackend } from "./tensorflow-backend.ts";

const PACKAGE = "@tensorflow/tfjs-node";

/** What the library calls although Node.js 23 took it away. */
interface OldUtil {
  isNullOrUndefined?: (value: unknown) => boolean;
  isArray?: (value: unknown) => boolean;
}

/**
 * TensorFlow's own library by `@tensorflow/tfjs-node`, which is no dependency of ours: whoever wants it installs it.
 * @param from the directory where it was installed; the working directory unless given
 * @throws TrainingError `training.backend` saying how to install it
 */
export function openTensorFlowNode(from: string = process.cwd()): TensorFlowBackend {
  const old = util as OldUtil;
  old.isNullOrUndefined ??= (value) => value === null || value === undefined;
  old.isArray ??= (value) => Array.isArray(value);
  let tf: TensorFlow;
  try {
    tf = createRequire(join(from, "package.json"))(PACKAGE) as TensorFlow;
  } catch (error) {
    const what = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
    throw new TrainingError(
      "training.backend",
      `${PACKAGE} can not be loaded from ${from} (${what}); install it there with ` +
        "`npm install @tensorflow/tfjs-node@4.22.0`, which downloads TensorFlow's library, or train with another backend",
      { cause: error },
    );
  }
  if (tf.getBackend() !== "tensorflow")
    throw new TrainingError(
      "training.backend",
      `${PACKAGE} runs on ${tf.getBackend()}, not on TensorFlow's library: that is missing or of another processor`,
    );
  return new TensorFlowBackend(tf, "tensorflow-node", "tensorflow");
}
