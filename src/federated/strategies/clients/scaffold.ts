/**
 * SCAFFOLD's control variates (Karimireddy et al. 2020, algorithm 1 with option II): each client corrects its gradients by what it
 * knows of the direction of all, so that clients with different data do not drift apart.
 *
 * A client's round: take `correction`, train (`TrainPlan.correction`), call {@link scaffoldClientStep}; it contributes the
 * difference of the model and of its variate. The server's: aggregate both by the same rule, call {@link scaffoldServerStep}.
 */

/** Before the first round all variates are zero: a client's own and the server's. @returns c − cᵢ, added to each gradient */
export function scaffoldCorrection(server: Float32Array, client: Float32Array): Float32Array {
  return server.map((value, at) => value - (client[at] ?? 0));
}

/** What a client has of a round. */
export interface ScaffoldRound {
  /** The model that the round began with, x, and the one that the client ended with, yᵢ. */
  readonly before: Float32Array;
  readonly after: Float32Array;
  /** Variates: the server's c and the client's own cᵢ, as they were when the round began. */
  readonly server: Float32Array;
  readonly client: Float32Array;
  /** Gradient steps taken, the paper's K, and the rate of each. */
  readonly steps: number;
  readonly learningRate: number;
}

/**
 * cᵢ⁺ = cᵢ − c + (x − yᵢ) / (K η).
 * @returns the client's new variate, to be kept, and how it changed, to be sent
 * @throws RangeError unless it took at least one step at a rate above zero
 */
export function scaffoldClientStep(round: ScaffoldRound): {
  readonly client: Float32Array;
  readonly change: Float32Array;
} {
  const { before, after, server, client, steps, learningRate } = round;
  if (!(steps >= 1 && learningRate > 0))
    throw new RangeError(
      `${steps} steps at a rate of ${learningRate} say nothing about a gradient`,
    );
  const scale = 1 / (steps * learningRate);
  const next = client.map(
    (value, at) => value - (server[at] ?? 0) + scale * ((before[at] ?? 0) - (after[at] ?? 0)),
  );
  return { client: next, change: next.map((value, at) => value - (client[at] ?? 0)) };
}

/**
 * c⁺ = c + (|S| / N) · mean of the changes.
 * @param share clients that took part in the round, of all there are
 * @param change their changes, aggregated
 * @throws RangeError unless the share is above 0 and at most 1
 */
export function scaffoldServerStep(
  server: Float32Array,
  change: Float32Array,
  share: number,
): Float32Array {
  if (!(share > 0 && share <= 1))
    throw new RangeError(`a share of ${share} of the clients is not above 0 and at most 1`);
  return server.map((value, at) => value + share * (change[at] ?? 0));
}
