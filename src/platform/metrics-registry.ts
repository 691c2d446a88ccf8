/** Label values of one sample, by label name. */
export type MetricLabels = Readonly<Record<string, string>>;

/** One value of a metric at the moment of the scrape. */
export interface MetricSample {
  readonly labels?: MetricLabels;
  readonly value: number;
}

/** What a room tells of one metric. `read` is called at each scrape and must be cheap. */
export interface MetricSource {
  /** Prometheus name with its unit, for example `agent_mesh_queue_bytes`; counters end in `_total`. */
  readonly name: string;
  readonly help: string;
  readonly kind: "counter" | "gauge";
  readonly read: () => readonly MetricSample[];
}

/**
 * Metrics are read when somebody asks for them: rooms keep plain numbers, so counting costs nothing on
 * the road of a reading.
 */
export interface MetricsRegistry {
  /** Adds a metric. @throws Error when the name is taken or not a legal Prometheus name. */
  add(source: MetricSource): void;
  /** Everything in Prometheus text exposition format 0.0.4. */
  expose(): Promise<{ contentType: string; body: string }>;
}
