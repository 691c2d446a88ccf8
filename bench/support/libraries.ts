import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { freePort } from "../../test/support/free-port.ts";
import { httpStatus, Program, root, until } from "./processes.ts";

/** Builds the peer as the agent is built. @returns the directory of the bundle. */
export function buildLibraries(directory: string): string {
  const out = join(directory, "libraries");
  execFileSync(process.execPath, [
    join(root, "scripts/build.ts"),
    "--main",
    join(root, "bench/peers/libraries.ts"),
    "--out",
    out,
  ]);
  return out;
}

/** Starts the peer and waits until it answers. */
export async function startLibraries(bundle: string, data: string): Promise<Program> {
  const port = await freePort();
  const args = [join(bundle, "main.js"), data, String(port), String(await freePort())];
  const program = new Program(process.execPath, ["--max-semi-space-size=4", ...args]);
  await until("the libraries", async () =>
    (await httpStatus(`http://127.0.0.1:${port}/readyz`)) === 200 ? true : undefined,
  );
  return program;
}
