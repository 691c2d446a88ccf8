import t from "tap";
import { PrometheusRegistry } from "../../src/platform/prometheus/registry.ts";
import { metricsRegistryConformance } from "./metrics-registry.ts";

metricsRegistryConformance(t, "prom-client", () => new PrometheusRegistry());
