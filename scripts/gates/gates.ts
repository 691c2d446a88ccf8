/** One program that a gate runs. */
export interface Step {
  /** File below `node_modules`, or below the root when it starts with `scripts/`. */
  readonly program: string;
  readonly args: readonly string[];
  /** Runs only where this file exists. */
  readonly needs?: string;
  /** The fault that the program's exit code does not tell, if there is one. */
  readonly judge?: (output: string) => string | undefined;
}

/** Something that the whole repository has to pass. */
export interface Gate {
  readonly name: string;
  readonly about: string;
  readonly steps: readonly Step[];
}

/** Green because nothing was read has happened: dependency-cruiser with a TypeScript it did not know. */
function readSomething(output: string): string | undefined {
  const modules = Number(/(\d+) modules, \d+ dependencies cruised/.exec(output)?.[1] ?? 0);
  return modules > 0 ? undefined : "dependency-cruiser read no modules, so it checked nothing";
}

/**
 * typedoc wants methods documented as well. Those whose name says it all may go without, the exported
 * things themselves may not: only `module.name` is kept of its warnings, not `module.name.method`.
 */
function undocumented(output: string): string | undefined {
  const faults = output
    .split("\n")
    .map((line) => line.replace(/^\[(warning|error)\] /, ""))
    .filter((line) => line.trim() !== "" && !/^Found \d+ errors/.test(line))
    .filter((line) => {
      const subject = /^(\S+) \(\w+\), defined in .* does not have any documentation/.exec(
        line,
      )?.[1];
      return subject === undefined || (subject.split("/").at(-1) ?? "").split(".").length <= 2;
    });
  return faults.length === 0 ? undefined : faults.join("\n");
}

/** The gates in the order in which they are shown; the cheap ones first. */
export const gates: readonly Gate[] = [
  {
    name: "format",
    about: "layout and import order (Biome)",
    steps: [
      {
        program: "@biomejs/biome/bin/biome",
        args: ["check", "--max-diagnostics=50", "--colors=off", "."],
      },
    ],
  },
  {
    name: "lint",
    about: "mistakes, and Node's I/O outside its folders (oxlint with type-aware rules)",
    steps: [
      {
        program: "oxlint/bin/oxlint",
        args: ["--type-aware", "--deny-warnings", "--report-unused-disable-directives", "."],
      },
    ],
  },
  {
    name: "walls",
    about: "which folder may import which (dependency-cruiser)",
    steps: [
      {
        program: "dependency-cruiser/bin/dependency-cruiser.mjs",
        args: ["src", "--config", ".dependency-cruiser.json"],
        judge: readSomething,
      },
    ],
  },
  {
    name: "types",
    about: "TypeScript, strict",
    steps: [
      { program: "typescript/bin/tsc", args: ["-p", "."] },
      {
        program: "typescript/bin/tsc",
        args: ["-p", "src/api/page"],
        needs: "src/api/page/tsconfig.json",
      },
    ],
  },
  {
    name: "dead-code",
    about: "files, exports and dependencies that nobody uses (knip)",
    steps: [
      {
        program: "knip/bin/knip.js",
        args: ["--no-progress", "--no-config-hints"],
      },
    ],
  },
  {
    name: "docs",
    about: "docstrings on what is exported, and their links (typedoc)",
    steps: [
      {
        program: "typedoc/bin/typedoc",
        args: ["--emit", "none", "--logLevel", "Warn"],
        judge: undocumented,
      },
    ],
  },
  {
    name: "openapi",
    about: "openapi/openapi.json is what the routes say, and valid (Redocly)",
    steps: [
      { program: "scripts/openapi.ts", args: ["--check"], needs: "scripts/openapi.ts" },
      {
        program: "@redocly/cli/bin/cli.js",
        args: ["lint", "openapi/openapi.json"],
        needs: "openapi/openapi.json",
      },
    ],
  },
  {
    name: "wire",
    about: "src/wire is what proto/ says, and proto/ is sound (buf)",
    steps: [{ program: "scripts/wire.ts", args: ["--check"] }],
  },
  {
    name: "kernels",
    about: "src/platform/simd holds what kernels/ says (AssemblyScript)",
    steps: [{ program: "scripts/kernels.ts", args: ["--check"] }],
  },
  {
    name: "reference",
    about: "docs/configuration.md is what the configuration's schema says",
    steps: [{ program: "scripts/reference.ts", args: ["--check"], needs: "scripts/reference.ts" }],
  },
  {
    name: "tests",
    about: "the quick kinds of tests",
    steps: [
      {
        program: "scripts/test.ts",
        args: ["--only", "unit,conformance,property,simulator,architecture"],
      },
    ],
  },
];
