// Every gate of `npm run check` is shown to fail on a planted fault, and to pass without it. The faults go
// into a small repository of their own that has this one's settings.
import { spawnSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import t from "tap";

const repository = resolve(import.meta.dirname, "../..");
const settings = [
  ".dependency-cruiser.json",
  ".gitignore",
  ".oxlintrc.json",
  "biome.json",
  "knip.json",
  "tsconfig.json",
  "typedoc.json",
];

const sound: Record<string, string> = {
  "package.json": `${JSON.stringify(
    { name: "small", private: true, type: "module", dependencies: { pino: "10.4.0" } },
    undefined,
    2,
  )}\n`,
  "src/main.ts": `import { hottest } from "./device/heat.ts";
import { warn } from "./platform/log/lines.ts";

warn(\`hottest zone: \${hottest([40, 50])}\`);
`,
  "src/device/heat.ts": `import type { Celsius } from "../platform/heat.ts";

/** @returns the highest of \`zones\`, or undefined when there are none. */
export function hottest(zones: readonly Celsius[]): Celsius | undefined {
  return zones.toSorted((a, b) => b - a)[0];
}
`,
  "src/platform/heat.ts": `/** Degrees Celsius. */
export type Celsius = number;
`,
  "src/platform/log/lines.ts": `import { pino } from "pino";

/** Writes a warning. */
export function warn(line: string): void {
  pino().warn(line);
}
`,
};

interface Gate {
  name: string;
  ok: boolean;
  output: string;
}

const base = mkdtempSync(join(tmpdir(), "agent-mesh-gates-"));
t.teardown(() => rmSync(base, { recursive: true, force: true }));

function repositoryWith(name: string, files: Record<string, string>): string {
  const root = join(base, name);
  mkdirSync(root, { recursive: true });
  for (const file of settings) cpSync(join(repository, file), join(root, file));
  symlinkSync(join(repository, "node_modules"), join(root, "node_modules"));
  for (const [file, contents] of Object.entries({ ...sound, ...files })) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), contents);
  }
  return root;
}

function check(
  root: string,
  only: string,
): { status: number | null; gates: Gate[]; errors: string } {
  const script = join(repository, "scripts/check.ts");
  const args = [script, "--json", "--only", only, "--root", root];
  // tap adds its hooks and settings to whatever a test starts; in the tools they do not belong.
  const clean = ["-i", `PATH=${process.env["PATH"]}`, `HOME=${process.env["HOME"]}`];
  const done = spawnSync("env", [...clean, process.execPath, ...args], {
    encoding: "utf8",
  });
  const gates = (JSON.parse(done.stdout || "{}") as { gates?: Gate[] }).gates ?? [];
  return { status: done.status, gates, errors: done.stderr };
}

t.test("a sound repository passes", async (t) => {
  const root = repositoryWith("sound", {});
  const { status, gates } = check(root, "format,lint,walls,types,dead-code,docs");
  t.same(
    gates.filter((gate) => !gate.ok),
    [],
  );
  t.equal(gates.length, 6);
  t.equal(status, 0);
});

const room = sound["src/device/heat.ts"] ?? "";
const faults: {
  fault: string;
  gate: string;
  files: Record<string, string>;
  says: RegExp;
}[] = [
  {
    fault: "a badly laid out file",
    gate: "format",
    files: { "src/device/heat.ts": room.replace("return zones", "return   zones") },
    says: /src\/device\/heat\.ts format/,
  },
  {
    fault: "imports out of order",
    gate: "format",
    files: {
      "src/main.ts": `import { hottest } from "./device/heat.ts";\nimport { join } from "node:path";\n\njoin(String(hottest([])));\n`,
    },
    says: /src\/main\.ts.*organizeImports/,
  },
  {
    fault: "the wall clock in a room",
    gate: "lint",
    files: { "src/device/heat.ts": `${room}\nexport const now = (): number => Date.now();\n` },
    says: /Unexpected use of 'Date'[\s\S]*Ask the Clock seam/,
  },
  {
    fault: "a timer in a room",
    gate: "lint",
    files: {
      "src/device/heat.ts": `${room}\nexport const later = (): unknown => setTimeout(hottest, 5);\n`,
    },
    says: /Unexpected use of 'setTimeout'[\s\S]*Ask the Clock seam/,
  },
  {
    fault: "chance in a room",
    gate: "lint",
    files: { "src/device/heat.ts": `${room}\nexport const dice = (): number => Math.random();\n` },
    says: /Ask the Random seam/,
  },
  {
    fault: "Node's I/O in a room",
    gate: "lint",
    files: {
      "src/device/heat.ts": `import { readFileSync } from "node:fs";\n${room}\nexport const read = (): string => readFileSync("/x", "utf8");\n`,
    },
    says: /Rooms reach the outside through a seam/,
  },
  {
    fault: "a promise that nobody waits for",
    gate: "lint",
    files: {
      "src/device/heat.ts": `${room}\nasync function slow(): Promise<void> {}\nexport function start(): void {\n  slow();\n}\n`,
    },
    says: /no-floating-promises/,
  },
  {
    fault: "console output",
    gate: "lint",
    files: { "src/device/heat.ts": `${room}\nconsole.log("x");\n` },
    says: /no-console/,
  },
  {
    fault: "a type error",
    gate: "types",
    files: { "src/device/heat.ts": room.replace("[0];", "[0] ?? 'none';") },
    says: /src\/device\/heat\.ts\(\d+,\d+\): error TS2322/,
  },
  {
    fault: "syntax that types alone cannot erase",
    gate: "types",
    files: { "src/device/heat.ts": `${room}\nexport enum Mode { Normal }\n` },
    says: /TS1294/,
  },
  {
    fault: "a room that imports a technology folder",
    gate: "walls",
    files: { "src/device/heat.ts": `import "../platform/log/lines.ts";\n${room}` },
    says: /rooms-never-touch-technology: src\/device\/heat\.ts → src\/platform\/log\/lines\.ts/,
  },
  {
    fault: "a seam that imports a technology",
    gate: "walls",
    files: { "src/platform/heat.ts": `import "./log/lines.ts";\n${sound["src/platform/heat.ts"]}` },
    says: /seams-stand-alone: src\/platform\/heat\.ts/,
  },
  {
    fault: "a cycle",
    gate: "walls",
    files: {
      "src/device/a.ts": `import { b } from "./b.ts";\nexport const a = (): number => b();\n`,
      "src/device/b.ts": `import { a } from "./a.ts";\nexport const b = (): number => a();\n`,
    },
    says: /no-cycles: src\/device\/[ab]\.ts/,
  },
  {
    fault: "a file that nobody imports",
    gate: "dead-code",
    files: { "src/device/attic.ts": "/** Dust. */\nexport const dust = 1;\n" },
    says: /Unused files[\s\S]*src\/device\/attic\.ts/,
  },
  {
    fault: "an export that nobody imports",
    gate: "dead-code",
    files: { "src/device/heat.ts": `${room}\n/** Zero. */\nexport const freezing = 0;\n` },
    says: /Unused exports[\s\S]*freezing/,
  },
  {
    fault: "a dependency that nobody imports",
    gate: "dead-code",
    files: {
      "package.json": (sound["package.json"] ?? "").replace('"pino"', '"yaml":"2.9.1","pino"'),
    },
    says: /Unused dependencies[\s\S]*yaml/,
  },
  {
    fault: "a dependency that is not in package.json",
    gate: "dead-code",
    files: {
      "src/main.ts": `${sound["src/main.ts"]}\nawait import("fastify");\n`,
    },
    says: /Unlisted dependencies[\s\S]*fastify/,
  },
  {
    fault: "an export without a docstring",
    gate: "docs",
    files: { "src/device/heat.ts": room.replace(/\/\*\*.*\*\/\n/, "") },
    says: /device\/heat\.hottest .* does not have any documentation/,
  },
  {
    fault: "a docstring that links to nowhere",
    gate: "docs",
    files: { "src/device/heat.ts": room.replace("@returns", "{@link coldest}\n * @returns") },
    says: /Failed to resolve link to "coldest"/,
  },
  {
    fault: "an OpenAPI document that is not valid",
    gate: "openapi",
    files: { "openapi/openapi.json": '{"openapi": "3.1.0", "info": {"title": "x"}, "paths": {}}' },
    says: /`version` field on `info`|struct/,
  },
];

for (const { fault, gate, files, says } of faults) {
  t.test(`${gate} fails on ${fault}`, async (t) => {
    const { status, gates } = check(repositoryWith(fault.replaceAll(/\W+/g, "-"), files), gate);
    t.equal(status, 1);
    t.match(gates[0]?.output, says);
  });
}

t.test("walls fail when they read nothing", async (t) => {
  const root = repositoryWith("nothing-read", {});
  rmSync(join(root, "src"), { recursive: true });
  mkdirSync(join(root, "src"));
  const { status, gates } = check(root, "walls");
  t.equal(status, 1);
  t.match(gates[0]?.output, /read no modules/);
});

t.test("tests fail when one fails, and when there are none", async (t) => {
  const root = repositoryWith("tests", {
    ".taprc": readFileSync(join(repository, ".taprc"), "utf8"),
    "test/unit/sum.test.ts": 'import t from "tap";\nt.equal(1 + 1, 3);\n',
  });
  cpSync(join(repository, "scripts"), join(root, "scripts"), { recursive: true });
  const failing = check(root, "tests");
  t.equal(failing.status, 1);
  t.match(failing.gates[0]?.output, /FAIL .*test\/unit\/sum\.test\.ts[\s\S]*\n0 passed, 1 failed/);
  writeFileSync(join(root, "test/unit/sum.test.ts"), 'import t from "tap";\nt.equal(1 + 1, 2);\n');
  const passing = check(root, "tests");
  t.equal(passing.status, 0);
  rmSync(join(root, "test"), { recursive: true });
  const none = check(root, "tests");
  t.equal(none.status, 1);
  t.match(none.gates[0]?.output, /no tests were run/);
});

t.test("bad usage is told apart from a failed gate", async (t) => {
  const { status, errors } = check(repository, "frmat");
  t.equal(status, 2);
  t.match(errors, /no gate is called 'frmat'; there are format, lint/);
});
