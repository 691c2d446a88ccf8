import { join } from "node:path";
import { freePort } from "../../test/support/free-port.ts";
import { type Figure, race } from "../figure.ts";
import { buildLibraries, startLibraries } from "../support/libraries.ts";
import { type Program, startAgent, temporaryDirectory } from "../support/processes.ts";

/** From launch to the first good answer at `/readyz`, compile cache warm on both sides. */
export async function* run(): AsyncGenerator<Figure> {
  using directory = temporaryDirectory();
  const bundle = buildLibraries(directory.path);
  let starts = 0;
  const timed = async (start: (data: string) => Promise<Program>): Promise<number> => {
    const data = join(directory.path, `data-${starts++}`);
    const startedMs = performance.now();
    const program = await start(data);
    const tookMs = performance.now() - startedMs;
    await program.stop();
    return tookMs;
  };
  const ours = async (): Promise<number> => {
    const [apiPort, mqttPort] = [await freePort(), await freePort()];
    return timed((data) => startAgent({ data, apiPort, mqttPort }));
  };
  const theirs = () => timed((data) => startLibraries(bundle, data));
  await ours();
  await theirs();
  yield await race({
    suite: "startup",
    metric: "launch to /readyz",
    unit: "ms",
    peer: "bundle that only loads and opens Fastify with swagger, Aedes, MQTT.js, LevelDB",
    bar: { floor: 2.5, goal: 1.4, better: "lower" },
    rounds: 15,
    ours,
    theirs,
  });
}
