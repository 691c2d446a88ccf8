/** Lets training of a simulated device rest between two steps. */
export class TrainingPause {
  #paused: PromiseWithResolvers<void> | undefined;

  pause(): Promise<void> {
    this.#paused ??= Promise.withResolvers();
    return Promise.resolve();
  }

  resume(): Promise<void> {
    this.#paused?.resolve();
    this.#paused = undefined;
    return Promise.resolve();
  }

  /** Resolves at once while it does not rest, otherwise when it goes on. */
  async over(): Promise<void> {
    await this.#paused?.promise;
  }
}
