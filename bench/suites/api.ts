import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort } from "../../test/support/free-port.ts";
import { type Figure, race } from "../figure.ts";
import {
  httpStatus,
  Program,
  root,
  startAgent,
  temporaryDirectory,
  until,
} from "../support/processes.ts";

const SECONDS = 3;

async function load(...args: string[]): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    join(root, "bench/support/http-load.ts"),
    ...args,
  ]);
  return Number(stdout);
}

/** Authenticated `GET /v1/resources` beside a bare Fastify route that answers with the same JSON. */
export async function* run(): AsyncGenerator<Figure> {
  using directory = temporaryDirectory();
  const programs: Program[] = [];
  try {
    const data = join(directory.path, "agent");
    const [apiPort, barePort] = [await freePort(), await freePort()];
    programs.push(await startAgent({ data, apiPort, mqttPort: await freePort() }));
    const token = readFileSync(join(data, "admin.token"), "utf8").trim();
    const url = `http://127.0.0.1:${apiPort}/v1/resources`;
    const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
    const file = join(directory.path, "resources.json");
    writeFileSync(file, await answer.text());
    const peer = join(root, "bench/peers/bare-route.ts");
    programs.push(new Program(process.execPath, [peer, file, String(barePort)]));
    const bareUrl = `http://127.0.0.1:${barePort}/v1/resources`;
    await until("the bare route", async () =>
      (await httpStatus(bareUrl)) === 200 ? true : undefined,
    );
    const ours = () => load(url, String(SECONDS), token);
    const theirs = () => load(bareUrl, String(SECONDS));
    await ours();
    await theirs();
    yield await race({
      suite: "api",
      metric: "authenticated GET /v1/resources",
      unit: "requests/s",
      peer: "bare Fastify route, same JSON",
      bar: { floor: 0.5, goal: 0.85, better: "higher" },
      rounds: 7,
      ours,
      theirs,
    });
  } finally {
    await Promise.all(programs.map((program) => program.stop()));
  }
}
