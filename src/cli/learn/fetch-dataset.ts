import { spawn } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { compressDataset, encodeDataset } from "../../federated/data/dataset-file.ts";
import type { KnownDataset } from "./dataset-catalogue.ts";
import { datasetFile, sha256 } from "./dataset-directory.ts";

const DOWNLOAD_TIMEOUT_MS = 600_000;
const UNPACK_TIMEOUT_MS = 120_000;
const OUTPUT_BYTES_MAX = 200_000_000;

/** A dataset could not be fetched; `message` says at which step, and what would help. */
export class FetchError extends Error {
  override readonly name = "FetchError";
  readonly code = "dataset.fetch";
}

/**
 * Downloads the package that holds a dataset, takes the dataset out and puts it into the directory as one file. No root is
 * needed and nothing is installed; what was downloaded is removed again.
 *
 * @param tell each step as it begins
 * @returns the file and its length in bytes
 * @throws FetchError
 */
export async function fetchDataset(
  known: KnownDataset,
  directory: string,
  tell: (step: string) => void,
): Promise<{ readonly file: string; readonly bytes: number }> {
  const scratch = await mkdtemp(join(tmpdir(), "agent-mesh-dataset-"));
  try {
    const { kind, name } = known.source;
    const megabytes = (known.downloadBytes / 1e6).toFixed(0);
    tell(
      `${known.name}: downloading ${name} from ${kind === "npm" ? "npm" : "Debian"}, ${megabytes} MB`,
    );
    await (kind === "npm" ? fromNpm(name, scratch) : fromDebian(name, scratch));
    tell(`${known.name}: reading`);
    const unpacked = await decompressed(scratch);
    const encoded = encodeDataset(known.make(unpacked), known.form);
    const found = sha256(encoded);
    if (found !== known.sha256)
      throw new FetchError(
        `${known.name}: ${name} holds other data than it used to (SHA-256 ${found}, not ${known.sha256}); nothing was kept`,
      );
    const bytes = compressDataset(encoded);
    const file = datasetFile(resolve(directory), known);
    await mkdir(resolve(directory), { recursive: true });
    // Whoever reads at the same time sees the whole file or none.
    const unfinished = `${file}.${process.pid}`;
    await writeFile(unfinished, bytes);
    await rename(unfinished, file);
    return { file, bytes: bytes.length };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function fromNpm(name: string, directory: string): Promise<void> {
  await run("npm", ["pack", name, "--silent", "--pack-destination", directory], {
    directory,
    timeoutMs: DOWNLOAD_TIMEOUT_MS,
    hint: `is npm installed, and its registry within reach?`,
  });
  const [archive = ""] = globSync("*.tgz", { cwd: directory });
  await run("tar", ["-xzf", archive], { directory, timeoutMs: UNPACK_TIMEOUT_MS, hint: "" });
}

async function fromDebian(name: string, directory: string): Promise<void> {
  await run("apt-get", ["download", "-q", name], {
    directory,
    timeoutMs: DOWNLOAD_TIMEOUT_MS,
    hint: `is this a Debian whose servers are within reach, with 'apt-get update' done?`,
  });
  const [archive = ""] = globSync("*.deb", { cwd: directory });
  await run("dpkg-deb", ["-x", archive, "unpacked"], {
    directory,
    timeoutMs: UNPACK_TIMEOUT_MS,
    hint: "",
  });
}

/** R compresses what it saves in one of three ways; a pure reader takes it as it was before. */
async function decompressed(directory: string): Promise<(path: string) => Buffer> {
  const found = (path: string): string => {
    const [file] = globSync(`**/${path}`, { cwd: directory });
    if (file === undefined) throw new FetchError(`the package has no ${path}`);
    return join(directory, file);
  };
  const plain = new Map<string, Buffer>();
  for (const file of globSync("**/data/{Shuttle,Vowel}.rda", { cwd: directory })) {
    const path = join(directory, file);
    const bytes = readFileSync(path);
    const tool = { 0x1f: "gzip", 0x42: "bzip2", 0xfd: "xz" }[bytes[0] ?? 0];
    if (tool === undefined) continue;
    const hint = `is ${tool} installed?`;
    plain.set(
      path,
      await run(tool, ["-dc", path], { directory, timeoutMs: UNPACK_TIMEOUT_MS, hint }),
    );
  }
  return (path) => {
    const file = found(path);
    return plain.get(file) ?? readFileSync(file);
  };
}

/** @returns what the program wrote to its standard output */
function run(
  program: string,
  words: readonly string[],
  {
    directory,
    timeoutMs,
    hint,
  }: { readonly directory: string; readonly timeoutMs: number; readonly hint: string },
): Promise<Buffer> {
  return new Promise((done, failed) => {
    const child = spawn(program, words, {
      cwd: directory,
      stdio: ["ignore", "pipe", "pipe"],
      signal: AbortSignal.timeout(timeoutMs),
    });
    const output: Buffer[] = [];
    let bytes = 0;
    let errors = "";
    const fail = (why: string): void =>
      failed(
        new FetchError([`'${program} ${words.join(" ")}' ${why}`, hint].filter(Boolean).join("; ")),
      );
    child.stdout.on("data", (piece: Buffer) => {
      bytes += piece.length;
      if (bytes > OUTPUT_BYTES_MAX) child.kill();
      else output.push(piece);
    });
    child.stderr.on("data", (piece: Buffer) => {
      errors = `${errors}${piece.toString()}`.slice(-2_000);
    });
    child.on("error", (error: NodeJS.ErrnoException) =>
      fail(
        error.code === "ENOENT"
          ? "can not be run: there is no such program"
          : error.name === "AbortError"
            ? `took longer than ${timeoutMs / 1_000} s`
            : error.message,
      ),
    );
    child.on("close", (code, signal) => {
      if (code === 0) done(Buffer.concat(output));
      else
        fail(
          `ended with ${code ?? signal}: ${errors.trim().split("\n").at(-1) ?? "no reason given"}`,
        );
    });
  });
}
