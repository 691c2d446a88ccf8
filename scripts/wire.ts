/**
 * Makes `src/wire/` from the Protocol Buffers schemas in `proto/`.
 *
 * `--check` changes nothing; exits 1 when the schemas break the style guide or `src/wire/` is not what they say.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";

const root = join(import.meta.dirname, "..");
const target = join(root, "src/wire");
const template = {
  version: "v2",
  plugins: [
    {
      local: "protoc-gen-es",
      out: "src/wire",
      opt: ["target=ts", "import_extension=ts", "erasable_syntax=true"],
    },
  ],
};

/** @throws Error with what buf said */
function buf(args: readonly string[]): void {
  const path = [dirname(process.execPath), join(root, "node_modules/.bin"), process.env["PATH"]];
  const { status, stdout, stderr, error } = spawnSync("buf", args, {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, PATH: path.join(delimiter) },
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`buf ${args[0]} failed:\n${stdout}${stderr}`);
}

function filesBelow(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
}

function generate(into: string): void {
  buf(["generate", "proto", "--template", JSON.stringify(template), "--output", into, "--clean"]);
}

try {
  if (process.argv.includes("--check")) {
    buf(["lint"]);
    const fresh = mkdtempSync(join(tmpdir(), "agent-mesh-wire-"));
    try {
      generate(fresh);
      const made = join(fresh, "src/wire");
      const differing = [...new Set([...filesBelow(made), ...filesBelow(target)])].filter(
        (file) =>
          !existsSync(join(made, file)) ||
          !existsSync(join(target, file)) ||
          readFileSync(join(made, file), "utf8") !== readFileSync(join(target, file), "utf8"),
      );
      if (filesBelow(made).length === 0) throw new Error("buf made nothing");
      if (differing.length > 0)
        throw new Error(`not what proto/ says; run \`npm run wire\`:\n${differing.join("\n")}`);
    } finally {
      rmSync(fresh, { recursive: true, force: true });
    }
  } else {
    generate(root);
  }
} catch (error) {
  console.error(`wire: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
