import type { Random } from "../random.ts";
import { type TrainableModel, type TrainingBackend, TrainingError } from "../training-backend.ts";
import { type Calls, type Reply, type Request, sent } from "./training-messages.ts";
import { type RunGate, TrainingRun } from "./training-run.ts";

interface Kept {
  readonly model: TrainableModel;
  readonly gate: RunGate;
  run: TrainingRun | undefined;
  /** Ends a pause. */
  goOn: (() => void) | undefined;
}

/** Between two words on how far a run is: each wakes the main thread, which has nothing else to do with it. */
const TELL_EVERY_MS = 500;

/** The first weights come with the model: nothing is drawn here. */
const noRandom: Random = {
  next: () => 0.5,
  bytes: (length) => new Uint8Array(length),
  fork: () => noRandom,
};

/** The training thread's side: does what it is asked for, and keeps the models. */
export class TrainingDesk {
  readonly #backend: TrainingBackend;
  readonly #send: (reply: Reply) => void;
  readonly #turn: () => Promise<void>;
  readonly #nowMs: () => number;
  readonly #models = new Map<number, Kept>();
  #count = 0;

  /** @param turn resolves after messages that wait were handled */
  constructor(
    backend: TrainingBackend,
    send: (reply: Reply) => void,
    turn: () => Promise<void>,
    nowMs: () => number,
  ) {
    this.#backend = backend;
    this.#send = send;
    this.#turn = turn;
    this.#nowMs = nowMs;
  }

  async handle(request: Request): Promise<void> {
    const { id } = request;
    try {
      this.#send({ id, kind: "answer", answer: await this.#answer(request) });
    } catch (error) {
      this.#send(sent(id, error));
    }
  }

  #answer(request: Request): Calls[keyof Calls]["answer"] | Promise<Calls["train"]["answer"]> {
    switch (request.kind) {
      case "build":
        return this.#build(request);
      case "bytes":
        return this.#backend.bytes();
      case "read": {
        const { model } = this.#idle(request.model);
        const weights = new Float32Array(model.parameterCount);
        model.read(weights);
        return weights;
      }
      case "write":
        return this.#idle(request.model).model.write(request.weights);
      case "evaluate":
        return this.#idle(request.model).model.evaluate(request.samples);
      case "predict":
        return this.#idle(request.model).model.predict(request.features, request.count);
      case "train":
        return this.#train(request);
      case "stop": {
        const kept = this.#kept(request.model);
        kept.gate.isStopped = true;
        // A run that is paused has to see it.
        return this.#resume(kept);
      }
      case "pause":
        return this.#pause(this.#kept(request.model));
      case "resume":
        return this.#resume(this.#kept(request.model));
      case "checkpoint": {
        const { run } = this.#kept(request.model);
        if (run === undefined)
          throw new TrainingError("training.model", "nothing is trained: read the weights");
        return run.checkpoint();
      }
      case "dispose":
        this.#idle(request.model).model.dispose();
        this.#models.delete(request.model);
        return;
    }
  }

  #build({ spec, weights }: Extract<Request, { kind: "build" }>): number {
    const model = this.#backend.build(spec, noRandom);
    model.write(weights);
    const gate = { isStopped: false, whilePaused: undefined };
    this.#models.set(++this.#count, { model, gate, run: undefined, goOn: undefined });
    return this.#count;
  }

  async #train({
    id,
    model,
    samples,
    plan,
    from,
    tells,
  }: Extract<Request, { kind: "train" }>): Promise<Calls["train"]["answer"]> {
    const kept = this.#idle(model);
    const run = new TrainingRun(kept.model, samples, plan, from, this.#nowMs);
    kept.run = run;
    kept.gate.isStopped = false;
    let tellAtMs = Number.NEGATIVE_INFINITY;
    try {
      return await run.go(kept.gate, this.#turn, (step, steps) => {
        const nowMs = this.#nowMs();
        if (!tells || (nowMs < tellAtMs && step < steps)) return;
        tellAtMs = nowMs + TELL_EVERY_MS;
        this.#send({ id, kind: "progress", step, steps });
      });
    } finally {
      kept.run = undefined;
    }
  }

  /** Messages are handled between slices: when this one is, no step is under way. */
  #pause(kept: Kept): void {
    if (kept.goOn !== undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    kept.gate.whilePaused = promise;
    kept.goOn = resolve;
  }

  #resume(kept: Kept): void {
    kept.gate.whilePaused = undefined;
    kept.goOn?.();
    kept.goOn = undefined;
  }

  #idle(index: number): Kept {
    const kept = this.#kept(index);
    if (kept.run !== undefined)
      throw new TrainingError(
        "training.model",
        "the model is being trained: wait for the run, stop it, or ask for a checkpoint",
      );
    return kept;
  }

  #kept(index: number): Kept {
    const kept = this.#models.get(index);
    if (kept === undefined) throw new TrainingError("training.disposed", "the model was disposed");
    return kept;
  }
}
