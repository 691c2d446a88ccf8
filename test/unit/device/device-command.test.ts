import { cpSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import t from "tap";
import { registerDevice } from "../../../src/cli/device.ts";
import { loadFirmwareProfiles } from "../../../src/cli/firmware-profiles.ts";

const fixtures = join(import.meta.dirname, "../../fixtures/devices");

async function run(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const result = { code: 0, out: "", err: "" };
  const program = new Command("agent-mesh").exitOverride().configureOutput({
    writeOut: (text) => void (result.out += text),
    writeErr: (text) => void (result.err += text),
  });
  registerDevice(program);
  try {
    await program.parseAsync(["node", "agent-mesh", "device", ...argv]);
  } catch (error) {
    result.code = (error as { exitCode: number }).exitCode;
  }
  return result;
}

t.test("shows identity, profile and every measurement, aligned", async (t) => {
  const { code, out } = await run("--root", join(fixtures, "pi-ina219-ups"), "--data", t.testdir());
  t.equal(code, 0);
  t.match(out, /^ {2}model +Raspberry Pi 4 Model B Rev 1\.4$/m);
  t.match(out, /^ {2}profile +raspberry-pi-4 \(Raspberry Pi 4\), because the device tree says/m);
  t.match(out, /^ {2}battery +ina219 68\.5 % \(from voltage\), discharging, 7\.644 V/m);
  t.match(out, /^ {2}gpu +— no GPU/m, "what is absent has its reason");
  const starts = out
    .split("\n")
    .flatMap((line) => /^ {2}\S.*? {2,}(?=\S)/.exec(line)?.[0].length ?? []);
  t.equal(new Set(starts).size, 1, "one column");
});

t.test("prints the same as JSON", async (t) => {
  const { out } = await run(
    "--root",
    join(fixtures, "jetson-nano"),
    "--data",
    t.testdir(),
    "--json",
  );
  const report = JSON.parse(out) as unknown;
  t.match(report, {
    identity: { model: "NVIDIA Jetson Nano Developer Kit" },
    profile: { id: "jetson-nano" },
    sample: { gpu: { usedPercent: 12.5 }, battery: { available: false } },
  });
});

t.test("bad usage is 2, a faulty profile is 1, and both say what to do", async (t) => {
  t.match(await run("--root", "/nowhere"), { code: 2, err: /--root \/nowhere is not a directory/ });
  t.match(await run("--profile", "generc"), { code: 2, err: /did you mean generic\?/ });
  const data = t.testdir({ "firmware-profiles": { "mine.yaml": "id: mine\nnmae: Mine\n" } });
  const faulty = await run("--data", data);
  t.equal(faulty.code, 1);
  t.match(faulty.err, /mine\.yaml: .*nmae is not known; did you mean name\?/);
});

t.test("a profile of one's own needs a file and no code", async (t) => {
  const data = t.testdir({
    "firmware-profiles": {
      "shed.yaml": [
        "id: raspberry-pi-4",
        "name: Pi in the shed",
        "match: { compatible: ['raspberrypi,4-model-b'] }",
        "power: { modes: { normal: { samplingIntervalMs: 20000 } } }",
        "budget: { memoryBytesMax: 100000000, cpuPercentMax: 20 }",
      ].join("\n"),
    },
    root: {},
  });
  const root = join(data, "root");
  cpSync(join(fixtures, "pi-4"), root, { recursive: true });
  t.match((await run("--root", root, "--data", data)).out, /\(Pi in the shed\)/);
  const profiles = await loadFirmwareProfiles(data);
  t.equal(profiles.filter(({ id }) => id === "raspberry-pi-4").length, 1, "in place of ours");
  t.ok(
    profiles.some(({ id }) => id === "generic"),
    "beside the others",
  );
});
