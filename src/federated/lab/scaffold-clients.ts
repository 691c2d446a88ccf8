import {
  scaffoldClientStep,
  scaffoldCorrection,
  scaffoldServerStep,
} from "../strategies/clients/scaffold.ts";

/** SCAFFOLD's control variates, of the server and of all clients that have trained so far. */
export class ScaffoldClients {
  readonly #clients: number;
  readonly #zeros: Float32Array;
  readonly #own = new Map<number, Float32Array>();
  /** Sum of what the variates changed by in this round. */
  readonly #change: Float32Array;
  #server: Float32Array;
  #trained = 0;

  constructor(parameterCount: number, clients: number) {
    this.#clients = clients;
    this.#zeros = new Float32Array(parameterCount);
    this.#change = new Float32Array(parameterCount);
    this.#server = new Float32Array(parameterCount);
  }

  /** @returns what a client adds to each gradient */
  correction(client: number): Float32Array {
    return scaffoldCorrection(this.#server, this.#own.get(client) ?? this.#zeros);
  }

  /** A client has trained from `before` to `before + delta`. */
  trained(
    client: number,
    before: Float32Array,
    delta: Float32Array,
    { steps, learningRate }: { readonly steps: number; readonly learningRate: number },
  ): void {
    const { client: own, change } = scaffoldClientStep({
      before,
      after: before.map((value, at) => value + (delta[at] as number)),
      server: this.#server,
      client: this.#own.get(client) ?? this.#zeros,
      steps,
      learningRate,
    });
    this.#own.set(client, own);
    for (let at = 0; at < change.length; at++)
      this.#change[at] = (this.#change[at] as number) + (change[at] as number);
    this.#trained++;
  }

  /** The server takes the changes of all that have trained since the last time. */
  endRound(): void {
    if (this.#trained === 0) return;
    const mean = this.#change.map((sum) => sum / this.#trained);
    this.#server = scaffoldServerStep(this.#server, mean, this.#trained / this.#clients);
    this.#change.fill(0);
    this.#trained = 0;
  }
}
