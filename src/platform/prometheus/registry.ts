import type { MetricSample, MetricSource, MetricsRegistry } from "../metrics-registry.ts";

/** Metric names of the Prometheus data model, without the colon that is kept for recording rules. */
const NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const FAILED = "agent_mesh_metric_sources_failed";

/** Exposition by prom-client, which is loaded at the first scrape: an agent nobody scrapes never pays. */
export class PrometheusRegistry implements MetricsRegistry {
  readonly #sources = new Map<string, MetricSource>();

  add(source: MetricSource): void {
    if (!NAME.test(source.name)) {
      throw new Error(`"${source.name}" is not a legal Prometheus metric name`);
    }
    if (source.kind === "counter" && !source.name.endsWith("_total")) {
      throw new Error(`counter "${source.name}" must end in _total`);
    }
    if (this.#sources.has(source.name) || source.name === FAILED) {
      throw new Error(`metric "${source.name}" is registered already`);
    }
    this.#sources.set(source.name, source);
  }

  async expose(): Promise<{ contentType: string; body: string }> {
    const { Counter, Gauge, Registry } = (await import("prom-client")).default;
    // Built anew each time: label names are only known once the sources were read, and values are set, not
    // counted here.
    const registry = new Registry();
    let failed = 0;
    for (const { name, help, kind, read } of this.#sources.values()) {
      let samples: readonly MetricSample[];
      try {
        samples = read();
        if (kind === "counter" && samples.some(({ value }) => !(value >= 0))) {
          throw new RangeError(`counter "${name}" is below zero`);
        }
      } catch {
        failed += 1;
        continue;
      }
      // prom-client would show a zero where nothing was measured.
      if (samples.length === 0) continue;
      const labelNames = [...new Set(samples.flatMap(({ labels }) => Object.keys(labels ?? {})))];
      const options = { name, help, labelNames, registers: [registry] };
      if (kind === "counter") {
        const counter = new Counter(options);
        counter.reset();
        for (const { labels, value } of samples) counter.inc(labels ?? {}, value);
      } else {
        const gauge = new Gauge(options);
        gauge.reset();
        for (const { labels, value } of samples) gauge.set(labels ?? {}, value);
      }
    }
    new Gauge({
      name: FAILED,
      help: "Metrics left out of this scrape since reading them failed.",
      registers: [registry],
    }).set(failed);
    return { contentType: registry.contentType, body: await registry.metrics() };
  }
}
