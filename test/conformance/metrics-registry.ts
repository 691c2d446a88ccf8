import type { Test } from "tap";
import type { MetricsRegistry } from "../../src/platform/metrics-registry.ts";

/** What every MetricsRegistry must do. */
export function metricsRegistryConformance(
  t: Test,
  name: string,
  create: () => MetricsRegistry,
): void {
  t.test(`${name}: values are read at each scrape`, async (t) => {
    const registry = create();
    let value = 1;
    registry.add({
      name: "agent_mesh_things_total",
      help: "Things.",
      kind: "counter",
      read: () => [{ value }],
    });
    t.match((await registry.expose()).body, /^agent_mesh_things_total 1$/m);
    value = 5;
    const { body, contentType } = await registry.expose();
    t.match(body, /^# HELP agent_mesh_things_total Things\.$/m);
    t.match(body, /^# TYPE agent_mesh_things_total counter$/m);
    t.match(body, /^agent_mesh_things_total 5$/m);
    t.match(contentType, "text/plain; version=0.0.4");
  });

  t.test(`${name}: labels are kept apart and escaped`, async (t) => {
    const registry = create();
    registry.add({
      name: "agent_mesh_level",
      help: "Level.",
      kind: "gauge",
      read: () => [
        { labels: { stream: 'a"b\\c\nd' }, value: -1.5 },
        { labels: { stream: "e" }, value: 2 },
      ],
    });
    const { body } = await registry.expose();
    t.match(body, 'agent_mesh_level{stream="a\\"b\\\\c\\nd"} -1.5');
    t.match(body, 'agent_mesh_level{stream="e"} 2');
  });

  t.test(`${name}: a metric without samples has no value`, async (t) => {
    const registry = create();
    registry.add({ name: "agent_mesh_absent", help: "None.", kind: "gauge", read: () => [] });
    registry.add({ name: "agent_mesh_none_total", help: "None.", kind: "counter", read: () => [] });
    t.notMatch((await registry.expose()).body, /^agent_mesh_(absent|none_total) /m);
  });

  t.test(`${name}: one source that fails does not take the others with it`, async (t) => {
    const registry = create();
    const fails = () => {
      throw new Error("no");
    };
    registry.add({ name: "agent_mesh_bad", help: "Bad.", kind: "gauge", read: fails });
    registry.add({
      name: "agent_mesh_negative_total",
      help: "Bad.",
      kind: "counter",
      read: () => [{ value: -1 }],
    });
    registry.add({
      name: "agent_mesh_good",
      help: "Good.",
      kind: "gauge",
      read: () => [{ value: 3 }],
    });
    const { body } = await registry.expose();
    t.match(body, /^agent_mesh_good 3$/m);
    t.notMatch(body, /^agent_mesh_(bad|negative_total) /m);
    t.match(body, /^agent_mesh_metric_sources_failed 2$/m);
  });

  t.test(`${name}: names are legal and unique`, async (t) => {
    const registry = create();
    const source = { help: "X.", kind: "gauge", read: () => [] } as const;
    registry.add({ ...source, name: "agent_mesh_x" });
    t.throws(() => registry.add({ ...source, name: "agent_mesh_x" }), /already/);
    for (const bad of ["", "9x", "a-b", "a b", "ä"]) {
      t.throws(() => registry.add({ ...source, name: bad }), /not a legal/);
    }
    t.throws(() => registry.add({ ...source, kind: "counter", name: "agent_mesh_y" }), /_total/);
  });
}
