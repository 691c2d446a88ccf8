import { PlainTrainingRunner } from "../../../src/simulator/plain-training-runner.ts";

/** @returns trains at once: no time has to pass */
export function promptRunner(): PlainTrainingRunner {
  return new PlainTrainingRunner(
    {
      setTimer: (_name, _delayMs, callback) => {
        queueMicrotask(callback);
        return { cancel: () => undefined };
      },
    },
    0,
  );
}
