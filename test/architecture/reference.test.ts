// docs/configuration.md and examples/ are in step with the configuration's schema.
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import t from "tap";
import { parse } from "yaml";
import { configurationDocument } from "../../scripts/reference.ts";
import { ConfigError, resolveConfig } from "../../src/config/resolve.ts";
import { configSchema } from "../../src/config/schema.ts";
import { parseFirmwareProfile } from "../../src/device/firmware-profile.ts";
import { resolvePowerPolicy } from "../../src/device/power-settings.ts";
import { readYamlDirectory, readYamlFile } from "../../src/platform/yaml/read-yaml.ts";

const repository = resolve(import.meta.dirname, "../..");
const page = readFileSync(join(repository, "docs/configuration.md"), "utf8");

interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
}

/** @returns the last name of every key that can be set, wherever it is. */
function leaves(node: SchemaNode): string[] {
  if (node.anyOf !== undefined) return node.anyOf.flatMap(leaves);
  return Object.entries(node.properties ?? {}).flatMap(([name, child]) => {
    const inner = child.properties !== undefined ? leaves(child) : [name];
    return child.items === undefined ? inner : [...inner, ...leaves(child.items)];
  });
}

t.test("the reference is what the schema says", async (t) => {
  t.equal(page, configurationDocument(), "run: npm run docs");
  const rows = [...page.matchAll(/^\| `([^`]+)` +\| (.+?) +\| (.*?) +\| (.+?) +\|$/gm)];
  const named = new Set(rows.map((row) => row[1]?.split(".").at(-1)));
  const known = leaves(configSchema as unknown as SchemaNode);
  t.ok(known.length > 60, `${known.length} keys`);
  t.same(
    known.filter((name) => !named.has(name)),
    [],
    "every key has a row, and every row says what the key means",
  );
});

t.test("a reference that is out of step is refused, and mended", async (t) => {
  const file = join(t.testdir({ "configuration.md": page.replace("8080", "8081") }), "x.md");
  writeFileSync(file, page.replace("8080", "8081"));
  const run = (...args: string[]) =>
    spawnSync(
      process.execPath,
      [join(repository, "scripts/reference.ts"), "--file", file, ...args],
      { encoding: "utf8" },
    );
  const stale = run("--check");
  t.equal(stale.status, 1);
  t.match(stale.stderr, /is not in step with the code; run: npm run docs/);
  t.equal(run().status, 0);
  t.equal(run("--check").status, 0);
});

t.test("the complete file in the reference can be used, and shows every section", async (t) => {
  const text = /## A complete file[\s\S]*?```yaml\n([\s\S]*?)```/.exec(page)?.[1] ?? "";
  const document = parse(text) as Record<string, unknown>;
  const config = resolveConfig({ file: { name: "complete.yaml", document } });
  t.same(Object.keys(document), Object.keys(configSchema.properties));
  t.match(config.uplinks[1], { kind: "mqtt", protocol: "3.1.1" });
});

t.test("what the reference says about layers is so", async (t) => {
  const file = { name: "x.yaml", document: { mqtt: { broker: { port: 1885 } } } };
  const environment = {
    AGENT_MESH__MQTT__BROKER__PORT: "1884",
    AGENT_MESH__OUTBOX__BYTES_MAX: "1048576",
    AGENT_MESH__OUTBOX__UPDATE_BYTES_MAX: "65536",
  };
  t.equal(resolveConfig({}).mqtt.broker.port, 1883);
  t.equal(resolveConfig({ file }).mqtt.broker.port, 1885);
  const { mqtt, outbox } = resolveConfig({ file, environment });
  t.same([mqtt.broker.port, outbox.bytesMax], [1884, 1_048_576]);
  const sets = ["mqtt.broker.port=1886", 'mqtt.topics=[{"filter":"plant/#","priority":7}]'];
  const last = resolveConfig({ file, environment, sets });
  t.match(last.mqtt, { broker: { port: 1886 }, topics: [{ filter: "plant/#", priority: 7 }] });
  const uplinks = [{ name: "hub", kind: "mqtt", url: "mqtt://hub" }];
  const moved = resolveConfig({
    file: { name: "x.yaml", document: { uplinks } },
    sets: ["uplinks.0.url=mqtt://10.0.0.2:1883"],
  });
  t.match(moved.uplinks, [{ name: "hub", url: "mqtt://10.0.0.2:1883" }]);
  t.throws(() => resolveConfig({ sets: ["mqtt.topics.0.priority=7"] }), {
    message: /mqtt\.topics\.0\.filter is missing/,
  });
  t.throws(() => resolveConfig({ sets: ["mqtt.brokr.port=1"] }), {
    message: /--set mqtt\.brokr\.port can not be used:\n {2}mqtt\.brokr .*did you mean broker/,
  });
  t.throws(() => resolveConfig({ sets: ["api.port=high"] }), ConfigError);
  const bare = { mqtt: { connect: { protocol: 5 } } };
  t.throws(() => resolveConfig({ file: { name: "x.yaml", document: bare } }), {
    message: /mqtt\.connect\.protocol must be one of "5", 3\.1\.1/,
  });
  const environmentProtocol = { AGENT_MESH__MQTT__CONNECT__PROTOCOL: "5" };
  t.equal(resolveConfig({ environment: environmentProtocol }).mqtt.connect.protocol, "5");
});

t.test("every example can be used", async (t) => {
  const directory = join(repository, "examples");
  const names = readdirSync(directory).filter((name) => name.endsWith(".yaml"));
  t.ok(names.length >= 4);
  const profiles = (await readYamlDirectory(join(repository, "firmware-profiles"))).map(
    ({ document, fileName }) => parseFirmwareProfile(fileName, document),
  );
  t.ok(profiles.length > 0);
  for (const name of names) {
    const document = await readYamlFile(join(directory, name));
    const config = resolveConfig({ file: { name, document } });
    const leads = config.uplinks.length > 0 || config.bridge.listen.enabled;
    t.ok(leads, `${name} sends readings somewhere, or is where others come`);
    for (const { power } of profiles) t.ok(resolvePowerPolicy(power, config.power));
  }
});
