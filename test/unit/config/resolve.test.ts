import t from "tap";
import { isRelayOn } from "../../../src/agent/relay-part.ts";
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

t.test("an uplink is judged by its own kind", async (t) => {
  const table: [Record<string, unknown>, RegExp][] = [
    [
      { kind: "mqttt" },
      /^ {2}uplinks\.0\.kind must be one of mqtt, https, nats, sparkplug, neighbour$/m,
    ],
    [
      { kind: undefined },
      /^ {2}uplinks\.0\.kind must be one of mqtt, https, nats, sparkplug, neighbour$/m,
    ],
    [
      { compression: "gzip" },
      /^ {2}uplinks\.0\.compression is not known to kind mqtt, only to https$/m,
    ],
    [{ inflightMax: 1 }, /^ {2}uplinks\.0\.inflightMax is not known; did you mean inFlightMax\?$/m],
    [{ retryMinMs: "soon" }, /^ {2}uplinks\.0\.retryMinMs must be integer$/m],
    [{ url: "http://up" }, /^ {2}uplinks\.0\.url must match pattern.*mqtt:\/\/host:port/m],
    [{ url: "mqtts://up:port" }, /^ {2}uplinks\.0\.url is no URL$/m],
    [
      { kind: "https", url: "http://up.example/in" },
      /uplinks\.0\.url must begin with https:\/\/, or set allowPlain: true/,
    ],
    [
      { kind: "https", url: "https://up/in", timeoutMs: 90_000 },
      /uplinks\.0\.stallTimeoutMs is under timeoutMs/,
    ],
    [
      { kind: "nats", url: "nats://up", credentialsFile: "/a", username: "b" },
      /uplinks\.0 has more than one of credentialsFile, username and token/,
    ],
    [
      { kind: "nats", url: "nats://up", tokenFile: "/a", token: "b" },
      /uplinks\.0 has token and tokenFile; keep one/,
    ],
  ];
  for (const [over, expected] of table) {
    const document = { uplinks: [{ ...UPLINK, ...over }] };
    const message = fault({ file: { name: "a.yaml", document } });
    t.match(message, expected, JSON.stringify(over));
    t.equal(message.split("\n").length, 2, "one fault, one line");
  }
  t.match(fault({ sets: ['uplinks=["mqtt"]'] }), /uplinks\.0 must hold keys and values, kind/);
  t.match(fault({ sets: ["uplinks.0.name=a"] }), /uplinks\.0\.kind is missing: one of mqtt, /);
  const https = resolveConfig({
    sets: ["uplinks.0.name=web", "uplinks.0.kind=https", "uplinks.0.url=http://127.0.0.1:1/in"],
  });
  t.match(https.uplinks, [{ kind: "https", compression: "gzip", inFlightMax: 512, priority: 0 }]);
  t.equal(Object.hasOwn(https.uplinks[0] ?? {}, "topicPrefix"), false, "no defaults of others");
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
  t.match(config.uplinks[0], { password: "hunter2" });
  t.notMatch(JSON.stringify(redacted(config)), "hunter2");
  t.match(redacted(config), { uplinks: [{ name: "up", password: "(redacted)" }] });
  t.match(config.uplinks[0], { password: "hunter2" }, "the original stays");
  const told = [
    fault({ sets: ["uplinks.0.password=hunter2", "uplinks.x.password=hunter2"] }),
    fault({ environment: { AGENT_MESH__UPLINKS__0__PASSWORD: "hunter2" } }),
  ];
  t.notMatch(told.join("\n"), "hunter2");
});

t.test("a broker that other machines reach says whom it lets in", async (t) => {
  const broker = (settings: object): string =>
    fault({ file: { name: "a.yaml", document: { mqtt: { broker: settings } } } });
  const passwordHash = `$scrypt$ln=14,r=8,p=5$${"A".repeat(22)}$${"A".repeat(43)}`;
  const users = [{ name: "a", passwordHash }];
  const tls = { certFile: "c", keyFile: "k" };
  const certified = { ...tls, caFile: "ca", requireClientCertificate: true };
  const out = { host: "0.0.0.0" };
  const faults: [object, RegExp][] = [
    [out, /mqtt\.broker\.host 0\.0\.0\.0 .*mqtt\.broker\.users.*anonymous\.allow=true/],
    [{ host: "::" }, /mqtt\.broker\.host :: lets other machines in/],
    [{ ...out, tls }, /mqtt\.broker\.host/],
    [{ ...out, tls: certified }, /mqtt\.broker\.host/],
    [{ ...out, plain: false, tls }, /mqtt\.broker\.tls\.host 0\.0\.0\.0/],
    [{ tls: { ...tls, host: "192.0.2.1" } }, /mqtt\.broker\.tls\.host 192\.0\.2\.1/],
    [{ plain: false }, /mqtt\.broker\.tls is missing/],
    [{ tls: { ...certified, caFile: undefined } }, /mqtt\.broker\.tls\.caFile is missing/],
    [{ anonymous: { allow: false } }, /nobody gets in/],
    [{ users: [...users, ...users] }, /users\.1\.name "a" is taken by mqtt\.broker\.users\.0/],
    [{ users: [{ name: "a" }] }, /users\.0 has neither passwordHash nor passwordFile/],
    [{ users: [{ ...users[0], passwordFile: "f" }] }, /users\.0 has passwordHash and passwordFile/],
    [{ users: [{ name: "a", passwordHash: "secret" }] }, /users\.0\.passwordHash/],
    [{ users: [{ ...users[0], publish: ["a/#/b"] }] }, /users\.0\.publish\.0: topic filter/],
    [{ anonymous: { subscribe: ["a+"] } }, /anonymous\.subscribe\.0: topic filter/],
  ];
  for (const [settings, expected] of faults)
    t.match(broker(settings), expected, JSON.stringify(settings));
  t.notMatch(broker({ users: [{ name: "a", passwordHash: "secret" }] }), /secret/);
  for (const settings of [
    { ...out, users },
    { ...out, anonymous: { allow: true } },
    { ...out, plain: false, tls: certified },
    { host: "127.0.0.1", tls: { ...certified, host: "0.0.0.0" } },
    { host: "localhost", tls },
    { host: "::1" },
    { tls: { ...tls, caFile: "ca" }, users: [{ name: "a" }] },
  ])
    t.equal(broker(settings), "none", JSON.stringify(settings));
  t.same(redacted({ users }), { users: [{ name: "a", passwordHash: "(redacted)" }] });
});

t.test("a Sparkplug edge node has ids that topics can hold, and only one uplink", async (t) => {
  const node = { name: "scada", kind: "sparkplug", url: "mqtt://hub:1883", groupId: "plant" };
  const faults = (...uplinks: object[]) => {
    try {
      resolveConfig({ sets: [`uplinks=${JSON.stringify(uplinks)}`] });
      return "";
    } catch (error) {
      return (error as Error).message;
    }
  };
  t.equal(faults(node), "");
  for (const bad of ["a/b", "a+", "#", ""])
    for (const key of ["groupId", "edgeNodeId", "primaryHost"])
      t.match(faults({ ...node, [key]: bad }), new RegExp(`uplinks\\.0\\.${key}`));
  t.match(faults({ ...node, deviceFrm: 1 }), /deviceFrm is not known; did you mean deviceFrom/);
  t.match(
    faults(node, { ...node, name: "other" }),
    /uplinks\.1 is the same Sparkplug edge node as uplinks\.0; give that one fallbackUrls/,
  );
  t.equal(faults(node, { ...node, name: "other", edgeNodeId: "two" }), "");
  t.match(faults({ ...node, tls: {} }), /uplinks\.0\.tls needs a url that begins with mqtts:\/\//);
});

t.test("relaying needs neighbours, and bounds that fit into each other", async (t) => {
  const neighbour = ["uplinks.0.name=n", "uplinks.0.kind=neighbour"];
  const table: [readonly string[], RegExp][] = [
    [neighbour, /uplinks\.0 leads through neighbours, which needs mesh\.enabled=true/],
    [[...neighbour, "mesh.port=0", "uplinks.0.url=mesh:x"], /uplinks\.0\.url is not known/],
    [
      [...neighbour, "mesh.port=0", "uplinks.0.retryMinMs=2000", "uplinks.0.retryMaxMs=1000"],
      /retryMinMs is over retryMaxMs/,
    ],
    [["relay.enabled=true"], /relay\.enabled needs mesh\.enabled=true/],
    [["relay.bytesMax=100000"], /relay\.bytesPerGuestMax is over relay\.bytesMax/],
    [["relay.bytesPerMinuteMax=2000"], /relay\.bytesPerGuestPerMinuteMax is over/],
    [["relay.hopsMax=9"], /relay\.hopsMax must be <= 8/],
  ];
  for (const [sets, expected] of table) t.match(fault({ sets }), expected, sets.join(" "));
  const { uplinks, relay } = resolveConfig({ sets: [...neighbour, "mesh.port=0"] });
  t.match(uplinks, [{ kind: "neighbour", via: [], inFlightMax: 2_048 }]);
  t.match(relay, { guestsMax: 16, hopsMax: 3, minBatteryPercent: 40, powerModeMin: "saving" });
});

t.test("who relays unless told otherwise", async (t) => {
  const on = (...sets: string[]): boolean => {
    const { relay, uplinks } = resolveConfig({ sets: ["mesh.port=0", ...sets] });
    return isRelayOn(relay, uplinks);
  };
  const cloud = ["uplinks.0.name=c", "uplinks.0.kind=mqtt", "uplinks.0.url=mqtt://c"];
  t.equal(on(), false, "without an uplink");
  t.equal(on(...cloud), true);
  t.equal(on(...cloud, "relay.enabled=false"), false);
  t.equal(on(...cloud, "uplinks.0.updatePriorityMin=7"), false, "alarms alone go there");
  const neighbour = ["uplinks.0.name=n", "uplinks.0.kind=neighbour"];
  t.equal(on(...neighbour), false, "one that has neighbours alone");
  t.equal(on(...neighbour, "relay.enabled=true"), true);
  const plant = ["uplinks.0.name=p", "uplinks.0.kind=sparkplug", "uplinks.0.url=mqtt://p"];
  t.equal(on(...plant, "uplinks.0.groupId=g"), false, "an edge node speaks for itself");
});
