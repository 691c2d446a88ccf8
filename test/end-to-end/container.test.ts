// The arm64 image: built from Dockerfile.arm64, then run under an emulator.
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import t from "tap";
import { ImageStore, imagesUnavailable } from "../support/container-image.ts";
import { eventually } from "../support/nspawn.ts";

const repository = resolve(import.meta.dirname, "../..");
const entrypoint = "/opt/agent-mesh/bin/agent-mesh";

t.setTimeout(600_000);

interface ImageDescription {
  Docker: {
    architecture: string;
    config: Record<"User", string> &
      Record<"Entrypoint", string[]> &
      Record<"Volumes" | "ExposedPorts", Record<string, unknown>> &
      Record<"Healthcheck", { Test: string[] } | undefined>;
  };
}

t.test("the arm64 image", { skip: imagesUnavailable() }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "agent-mesh-image-"));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const store = new ImageStore(directory, repository);
  const image = store.buildAgent();
  const container = store.create(image);
  const description = JSON.parse(
    store.buildah("inspect", "--type", "image", image),
  ) as ImageDescription;
  const { config, architecture } = description.Docker;

  await t.test("is described as an image for devices should be", async (t) => {
    t.equal(architecture, "arm64");
    t.match(config.User, /^\d+:\d+$/, "a user who is not root, as a number");
    t.not(config.User, "0:0");
    t.same(config.Entrypoint, [entrypoint]);
    t.same(Object.keys(config.Volumes), ["/data"]);
    t.same(Object.keys(config.ExposedPorts).sort(), ["1883/tcp", "8080/tcp"]);
    t.match(config.Healthcheck?.Test.join(" "), /readyz/);
    t.equal(statSync(join(container.root, "data")).uid, 10001, "the data belong to that user");
    t.notOk(existsSync(join(container.root, "opt/agent-mesh/node_modules")));
  });

  await t.test("names its version", async (t) => {
    const args = ["run", "--isolation", "chroot", container.name, "--", entrypoint];
    const told = JSON.parse(store.buildah(...args, "version", "--json")) as Record<string, string>;
    const { version } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8")) as {
      version: string;
    };
    t.equal(told["version"], version);
  });

  await t.test("serves, is healthy, and stops when told", async (t) => {
    const ports = ["--set", "api.port=0", "--set", "mqtt.broker.port=0"];
    const agent = store.start(container.name, entrypoint, "run", "--data", "/data", ...ports);
    let said = "";
    agent.stdout?.on("data", (chunk: Buffer) => (said += chunk.toString("utf8")));
    agent.stderr?.on("data", (chunk: Buffer) => (said += chunk.toString("utf8")));
    const closed = new Promise<number | null>((done) => agent.on("close", done));
    const info = await eventually(
      "the agent to say where it serves",
      () => {
        if (agent.exitCode !== null) throw new Error(said);
        const file = store.volumeFile("run.json");
        return file === undefined
          ? undefined
          : (JSON.parse(readFileSync(file, "utf8")) as { pid: number; api: { url: string } });
      },
      240_000,
    );
    t.teardown(() => {
      if (agent.exitCode === null) process.kill(info.pid, "SIGKILL");
    });
    const port = new URL(info.api.url).port;
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`);
    t.equal(answer.status, 200);
    const [, ...health] = config.Healthcheck?.Test ?? [];
    t.equal(store.buildah("run", "--isolation", "chroot", container.name, "--", ...health), "");
    process.kill(info.pid, "SIGTERM");
    t.equal(await closed, 0, said);
  });
});
