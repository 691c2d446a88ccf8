import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import {
  chooseFirmwareProfile,
  type FirmwareProfile,
  firmwareProfileSchema,
  parseFirmwareProfile,
} from "../../../src/device/firmware-profile.ts";
import type { PowerOverrides } from "../../../src/device/power-schema.ts";
import { defaultPowerPolicy, resolvePowerPolicy } from "../../../src/device/power-settings.ts";
import { LinuxDeviceProbe } from "../../../src/platform/linux/linux-device-probe.ts";
import { readYamlDirectory, readYamlFile } from "../../../src/platform/yaml/read-yaml.ts";

const root = join(import.meta.dirname, "../../..");
const fixtures = join(root, "test/fixtures/devices");

async function shipped(): Promise<FirmwareProfile[]> {
  const files = await readYamlDirectory(join(root, "firmware-profiles"));
  return files.map(({ fileName, document }) => parseFirmwareProfile(fileName, document));
}

t.test("every shipped profile is sound and named like its file", async (t) => {
  for (const { fileName, document } of await readYamlDirectory(join(root, "firmware-profiles"))) {
    const profile = parseFirmwareProfile(fileName, document);
    t.equal(`${profile.id}.yaml`, fileName);
    t.doesNotThrow(() => resolvePowerPolicy(profile.power), `${fileName}: thresholds make sense`);
  }
});

const expected: Record<string, [id: string, because: RegExp]> = {
  "pi-4": ["raspberry-pi-4", /raspberrypi,4-model-b/],
  "pi-ina219-ups": ["raspberry-pi-4", /raspberrypi,4-model-b/],
  "pi-max17040": ["raspberry-pi-4", /raspberrypi,4-model-b/],
  "pi-5": ["raspberry-pi-5", /raspberrypi,5-model-b/],
  "pi-zero-2-w": ["raspberry-pi-zero-2-w", /model-zero-2-w/],
  "jetson-orin-nano": ["jetson-orin-nano", /p3767-0005/],
  "jetson-nano": ["jetson-nano", /nvidia,jetson-nano/],
  "bare-vm": ["generic", /no other profile matches Standard PC/],
};
for (const [device, [id, because]] of Object.entries(expected)) {
  t.test(`${device} gets the profile ${id}`, async (t) => {
    const probe = new LinuxDeviceProbe({ root: join(fixtures, device), dataDirectory: root });
    const chosen = chooseFirmwareProfile(await shipped(), await probe.identify());
    t.equal(chosen.profile.id, id);
    t.match(chosen.because, because);
    probe.configure(chosen.profile.probe);
    const { thermal, battery } = await probe.sample();
    t.equal(thermal.available, device !== "bare-vm");
    t.equal(battery.available, ["pi-ina219-ups", "pi-max17040"].includes(device));
    if (thermal.available) t.ok(thermal.celsius < 80, "no constant zone counts");
  });
}

t.test(
  "the most specific compatible string wins, then the model, then the id asked for",
  async (t) => {
    const profiles = await shipped();
    const choose = (compatible: string[], model: string, wanted?: string) =>
      chooseFirmwareProfile(profiles, { compatible, model }, wanted).profile.id;
    t.equal(choose(["acme,board", "brcm,bcm2712"], "Acme"), "raspberry-pi-5", "by its chip");
    t.equal(choose(["x"], "NVIDIA Jetson Orin NX 16GB"), "jetson-orin-nano", "by its model");
    t.equal(choose(["x"], "Jetson AGX Orin"), "generic", "a relative is not the same");
    t.equal(choose(["brcm,bcm2712"], "", "jetson-nano"), "jetson-nano", "by configuration");
    t.throws(() => choose([], "", "raspbery-pi-4"), {
      code: "profile.unknown",
      message: /did you mean raspberry-pi-4\?/,
    });
    const withoutGeneric = profiles.filter(({ id }) => id !== "generic");
    t.throws(() => chooseFirmwareProfile(withoutGeneric, { compatible: [], model: "Acme" }), {
      code: "profile.none-matches",
    });
  },
);

t.test("a faulty profile is refused with file, key and what to write", async (t) => {
  const good = { id: "acme", name: "Acme", budget: { memoryBytesMax: 1e8, cpuPercentMax: 20 } };
  t.equal(parseFirmwareProfile("acme.yaml", good).id, "acme", "the least a profile needs");
  const faults: [unknown, RegExp][] = [
    [null, /acme\.yaml: the document must be object/],
    [[], /the document must be object/],
    [{ ...good, bugdet: 1 }, /bugdet is not known; did you mean budget\?/],
    [{ ...good, power: { celcius: {} } }, /power\.celcius is not known; did you mean celsius\?/],
    [{ id: "acme", name: "Acme" }, /budget is missing/],
    [{ ...good, id: "Acme Board" }, /id must match pattern/],
    [{ ...good, probe: { throttling: ["rpivolt"] } }, /throttling\.0 must be one of vcgencmd-file/],
    [{ ...good, probe: { batteryVoltsRange: [8.4, 6] } }, /empty pack's voltage first/],
    [{ ...good, budget: { memoryBytesMax: "big", cpuPercentMax: 1 } }, /memoryBytesMax must be/],
  ];
  for (const [document, message] of faults) {
    t.throws(() => parseFirmwareProfile("acme.yaml", document), {
      code: "profile.invalid",
      message,
    });
  }
});

t.test("thresholds that contradict each other are refused by name", async (t) => {
  const refused: [PowerOverrides, RegExp][] = [
    [
      { batteryPercent: { saving: { leave: 20 } } },
      /power\.batteryPercent\.saving\.leave is 20.*above.*enter, which is 30/,
    ],
    [{ celsius: { critical: { leave: 95 } } }, /power\.celsius\.critical\.leave is 95.*below/],
    [
      { batteryPercent: { aggressive: { enter: 40, leave: 45 } } },
      /saving\.enter is 30.*aggressive\.enter/,
    ],
    [
      { modes: { saving: { samplingIntervalMs: 1000 } } },
      /saving\.samplingIntervalMs is 1000.*normal/,
    ],
  ];
  for (const [layer, message] of refused) {
    t.throws(() => resolvePowerPolicy(layer), { code: "power.policy-invalid", message });
  }
  const policy = resolvePowerPolicy({ dwellMs: 1 }, { celsius: { saving: { enter: 74 } } });
  t.match(policy, { dwellMs: 1, celsius: { saving: { enter: 74, leave: 70 } } }, "layers add up");
});

t.test("the page on profiles names every key, and its example is sound", async (t) => {
  const page = readFileSync(join(root, "docs/firmware-profiles.md"), "utf8");
  for (const key of keysOf(firmwareProfileSchema)) t.ok(page.includes(key), key);
  const example = /```yaml\n([\s\S]*?)```/.exec(page)?.[1]?.replace(/^ {3}/gm, "") ?? "";
  const directory = t.testdir({ "field-station.yaml": example });
  const [file] = await readYamlDirectory(directory);
  const profile = parseFirmwareProfile("field-station.yaml", file?.document);
  t.equal(resolvePowerPolicy(profile.power).batteryPercent.saving.enter, 50);
  for (const [mode, { samplingIntervalMs }] of Object.entries(defaultPowerPolicy.modes)) {
    t.match(page, new RegExp(`\`${mode}\` .*\\| ${samplingIntervalMs / 1000} s +\\|`), mode);
  }
});

function keysOf(schema: { readonly properties?: object }): string[] {
  const inner = Object.entries((schema.properties ?? {}) as Record<string, object>);
  return inner.flatMap(([key, node]) => [key, ...keysOf(node)]);
}

t.test("YAML files: place of a fault, duplicate keys, bombs, sizes", async (t) => {
  const directory = t.testdir({
    "b.yaml": "id: b\n",
    "a.yml": "id: a\n",
    "notes.txt": "not: read",
    bad: { "x.yaml": "id: a\n  name: [b\n" },
    "twice.YAML": "x",
  });
  t.same(await readYamlDirectory(directory), [
    { fileName: "a.yml", document: { id: "a" } },
    { fileName: "b.yaml", document: { id: "b" } },
  ]);
  t.same(await readYamlDirectory(join(directory, "none")), []);
  const path = join(directory, "bad/x.yaml");
  await t.rejects(readYamlFile(path), { code: "yaml.syntax", message: /x\.yaml:\d+:\d+: / });
  writeFileSync(path, "a: 1\na: 2\n");
  await t.rejects(readYamlFile(path), { code: "yaml.syntax", message: /unique/ });
  const bomb = ["a: &a [x,x,x,x,x,x,x,x,x,x]"];
  for (const [from, to] of ["ab", "bc", "cd", "de"]) {
    bomb.push(`${to}: &${to} [${Array(10).fill(`*${from}`).join()}]`);
  }
  writeFileSync(path, bomb.join("\n"));
  await t.rejects(readYamlFile(path), { code: "yaml.syntax", message: /alias/ });
  writeFileSync(path, " ".repeat(1_048_577));
  await t.rejects(readYamlFile(path), { code: "yaml.too-large" });
  await t.rejects(readYamlFile(join(directory, "gone.yaml")), {
    code: "yaml.unreadable",
    message: /there is no such file/,
  });
});
