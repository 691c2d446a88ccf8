/** An update as a receiver reads it back. */
export interface ReceivedUpdate {
  readonly agentId: string;
  readonly stream: string;
  readonly sequence: number;
  /**
   * One line of JSON: `{id, agent, stream, sequence, observedAt, observedAtTrusted, receivedAt, contentType,
   * key?, payload | payloadBase64}`.
   */
  readonly line: string;
}

/** Where a receiver passes its updates on to. */
export interface UpdateSink {
  /** Its place in the store goes by this name: another name begins with the oldest update that is kept. */
  readonly name: string;
  /** At most this many updates at once; as many as there are where it is absent. */
  readonly batchUpdatesMax?: number;
  /**
   * Called once before all else, with what the latest delivery that was noted returned.
   * @returns the mark to begin with
   */
  resume(mark: number | undefined): Promise<number>;
  /**
   * Takes updates in order of arrival. When it rejects, the same come again after a while.
   * @returns a mark that is kept with the place, for example the length of a file
   */
  deliver(updates: readonly ReceivedUpdate[]): Promise<number>;
}
