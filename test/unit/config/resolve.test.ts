import t from "tap";
import { redacted } from "../../../src/config/redact.ts";
import { ConfigError, type ConfigLayers, resolveConfig } from "../../../src/config/resolve.ts";

const fault = (layers: ConfigLayers): string => {
  try {
    resolveConfig(layers);
    return "none";
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
};
const UPLINK = { name: "up", kind: "mqtt", url: "mqtt://up:1883" };

t.test("nothing at all is a complete configuration", async (t) => {
  t.match(resolveConfig({}), {
    api: { port: 8_080 },
    mqtt: {
      broker: { embedded: true, port: 1_883 },
      topics: [{ filter: "sensors/#", priority: 5 }],
    },
    outbox: { evict: "drop-oldest" },
    uplinks: [],
  });
  t.same(resolveConfig({ file: { name: "empty.yaml", document: null } }), resolveConfig({}));
});

t.test("later layers win: file, environment, command line", async (t) => {
  const document = { api: { port: 1 }, log: { level: "warn" }, uplinks: [UPLINK] };
  const config = resolveConfig({
    file: { name: "a.yaml", document },
    environment: {
      AGENT_MESH__API__PORT: "2",
      AGENT_MESH__OUTBOX__BYTES_MAX: "9000000",
      AGENT_MESH__uplinks__0__clientId: "007",
      AGENT_MESHED: "not ours",
      PATH: "/bin",
    },
    sets: ["api.port=3", "uplinks.0.inFlightMax=7", 'mqtt.topics=[{"filter":"x/#"}]'],
  });
  t.match(config, {
    api: { port: 3 },
    log: { level: "warn" },
    outbox: { bytesMax: 9_000_000 },
    uplinks: [{ name: "up", clientId: "007", inFlightMax: 7 }],
    mqtt: { topics: [{ filter: "x/#", priority: 5 }] },
  });
  t.same(
    document,
    { api: { port: 1 }, log: { level: "warn" }, uplinks: [UPLINK] },
    "left as it was",
  );
});

t.test("what is wrong is named, with what would be right", async (t) => {
  const table: [ConfigLayers, RegExp][] = [
    [
      { file: { name: "a.yaml", document: { apii: {} } } },
      /a\.yaml.*\n.*apii is not known; did you mean api\?/,
    ],
    [{ sets: ["mqtt.broker.prot=1"] }, /mqtt\.broker\.prot is not known; did you mean port\?/],
    [
      { sets: ["api.port=http"] },
      /--set api\.port can not be used:\n {2}api\.port must be integer/,
    ],
    [{ environment: { AGENT_MESH__API__PORT: "70000" } }, /AGENT_MESH__API__PORT.*\n.*api\.port/],
    [{ sets: ["outbox.evict=newest"] }, /outbox\.evict must be one of drop-oldest, /],
    [
      { sets: ["api.port.x=1"], file: { name: "a.yaml", document: { api: { port: 1 } } } },
      /api\.port has no keys below it/,
    ],
    [{ sets: ["api.port"] }, /"api\.port" is not key=value/],
    [{ sets: ["=1"] }, /is not key=value/],
    [{ sets: ["api..port=1"] }, /can not be a key/],
    [{ sets: ["uplinks.first.name=a"] }, /.+/],
    [{ sets: ["uplinks.3.name=a"] }, /uplinks\.\d/],
    [{ sets: ["uplinks.9999.name=a"] }, /uplinks/],
    [{ file: { name: "a.yaml", document: ["list"] } }, /keys and values/],
    [{ file: { name: "a.yaml", document: "text" } }, /keys and values/],
    [
      { file: { name: "a.yaml", document: { uplinks: [UPLINK, UPLINK] } } },
      /uplinks\.1\.name "up" is taken by uplinks\.0/,
    ],
    [{ sets: ["mqtt.broker.embedded=false"] }, /mqtt\.connect\.url is missing/],
    [{ sets: ["mqtt.connect.url=mqtt://user:pass@host"] }, /mqtt\.connect\.url/],
  ];
  for (const [layers, expected] of table) t.match(fault(layers), expected, JSON.stringify(layers));
});

t.test("keys that mean something to JavaScript are refused and change nothing", async (t) => {
  for (const key of ["__proto__.x", "constructor.prototype.x", "api.__proto__", "prototype"])
    t.match(fault({ sets: [`${key}=1`] }), /can not be a key/, key);
  t.match(fault({ environment: { AGENT_MESH____proto____x: "1" } }), /can not be/);
  const document: unknown = JSON.parse(
    '{"__proto__":{"polluted":true},"api":{"__proto__":{"port":1}}}',
  );
  fault({ file: { name: "a.yaml", document } });
  t.equal(({} as Record<string, unknown>)["polluted"], undefined);
});

t.test("secrets are neither shown nor told in a fault", async (t) => {
  const config = resolveConfig({
    file: { name: "a.yaml", document: { uplinks: [{ ...UPLINK, password: "hunter2" }] } },
  });
  t.equal(config.uplinks[0]?.password, "hunter2");
  t.notMatch(JSON.stringify(redacted(config)), "hunter2");
  t.match(redacted(config), { uplinks: [{ name: "up", password: "(redacted)" }] });
  t.equal(config.uplinks[0]?.password, "hunter2", "the original stays");
  const told = [
    fault({ sets: ["uplinks.0.password=hunter2", "uplinks.x.password=hunter2"] }),
    fault({ environment: { AGENT_MESH__UPLINKS__0__PASSWORD: "hunter2" } }),
  ];
  t.notMatch(told.join("\n"), "hunter2");
});
