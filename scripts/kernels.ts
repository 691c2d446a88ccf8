/**
 * Makes `src/platform/simd/<name>-module.ts` from the AssemblyScript in `kernels/<name>/`: WebAssembly with SIMD, as base64,
 * so that it runs from sources and from the bundle alike.
 *
 * `--check` changes nothing; exits 1 when a module is not what its sources say.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";

const root = join(import.meta.dirname, "..");
const compiler = join(root, "node_modules/assemblyscript/bin/asc.js");
const target = join(root, "src/platform/simd");

/** @throws Error with what the compiler said */
function compile(name: string): Uint8Array {
  const folder = join(root, "kernels", name);
  const flags = JSON.parse(readFileSync(join(folder, "flags.json"), "utf8")) as string[];
  const into = mkdtempSync(join(tmpdir(), "agent-mesh-kernels-"));
  try {
    const binary = join(into, "kernels.wasm");
    // As a program: its types would say of every array in this repository what only holds in AssemblyScript.
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [compiler, "index.ts", "--baseDir", folder, "--outFile", relative(folder, binary), ...flags],
      { encoding: "utf8" },
    );
    if (status !== 0) throw new Error(`${name}: ${stdout}${stderr}`);
    return readFileSync(binary);
  } finally {
    rmSync(into, { recursive: true, force: true });
  }
}

function moduleText(name: string, binary: Uint8Array): string {
  const lines =
    Buffer.from(binary)
      .toString("base64")
      .match(/.{1,96}/g) ?? [];
  return [
    `// Made from kernels/${name}/ by \`npm run kernels\`: ${binary.length} bytes.`,
    `/** WebAssembly of the ${name} kernels, as base64. */`,
    "/** WebAssembly, as base64. */",
    `export const ${name}Module =`,
    `${lines.map((line) => `  "${line}"`).join(" +\n")};`,
    "",
  ].join("\n");
}

try {
  const names = readdirSync(join(root, "kernels"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
  if (names.length === 0) throw new Error("there is nothing in kernels/");
  for (const name of names) {
    const file = join(target, `${name}-module.ts`);
    const text = moduleText(name, compile(name));
    if (!process.argv.includes("--check")) writeFileSync(file, text);
    else if (!existsSync(file) || readFileSync(file, "utf8") !== text)
      throw new Error(`${file} is not what kernels/${name} says; run \`npm run kernels\``);
  }
} catch (error) {
  console.error(`kernels: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
