// A client that gRPC's own Python library and code generator make of our schemas, against a gateway with a device.
import { createHash } from "node:crypto";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { Attachment } from "../../src/mesh/bridge/attachment.ts";
import type { BridgeContent } from "../../src/platform/bridge.ts";
import { Refused } from "../../src/platform/network.ts";
import { SystemClock } from "../../src/platform/node/system-clock.ts";
import { Authority } from "../support/certificates.ts";
import { anybody, clientOf, startDoor } from "../support/grpc-door.ts";
import { bridgeOf, ToyMesh } from "../support/grpc-mesh.ts";
import { generatePython, grpcPython, runPython } from "../support/grpc-python.ts";
import { keptLog } from "../support/kept-log.ts";
import { eventually } from "../support/mosquitto.ts";

const found = grpcPython();

/** A mesh whose agent takes content and gives it back. */
class StoringMesh extends ToyMesh {
  content: (BridgeContent & { bytes: Buffer }) | undefined;

  override backendOf(self: string): ReturnType<ToyMesh["backendOf"]> {
    return {
      ...super.backendOf(self),
      uploadOffset: () => Promise.resolve(0),
      upload: (_target, content) => {
        const kept = { ...content, bytes: Buffer.alloc(0) };
        this.content = kept;
        return Promise.resolve({
          offset: 0,
          write: (bytes) => {
            kept.bytes = Buffer.concat([kept.bytes, bytes]);
          },
          done: () => undefined,
          broken: () => undefined,
        });
      },
      download: () => {
        const { name, bytes } = this.content!;
        return Promise.resolve({
          name,
          sizeBytes: bytes.length,
          sha256: createHash("sha256").update(bytes).digest(),
          read: (offset, length) => bytes.subarray(offset, offset + length),
        });
      },
    };
  }
}

t.test(
  "Python sends and gets 100 MB, sees the fleet, subscribes, moves files, and is told what is wrong",
  "missing" in found ? { skip: found.missing } : { timeout: 400_000 },
  async (t) => {
    if ("missing" in found) return;
    const clock = new SystemClock();
    const directory = t.testdir({ token: "s3cret\n" });
    const authority = new Authority(directory);
    const { cert, key } = authority.issue("localhost", "gateway");
    const gateway = bridgeOf("gateway", clock, { mesh: new StoringMesh() });
    const device = bridgeOf("pi-1", clock);
    device.mesh.answer = ({ task, payload }) => {
      if (task === "no") return Promise.reject(new Refused("access.denied", "not here"));
      if (task === "slow") return new Promise(() => undefined);
      return Promise.resolve(Buffer.concat([Buffer.from("pi-1 heard "), payload]));
    };
    const { server, url } = await startDoor(t, gateway.hub, {
      tls: { certFile: cert, keyFile: key },
      authenticate: ({ token }) => (token === "s3cret" ? anybody : undefined),
    });
    const attachment = new Attachment({
      name: "gateway",
      client: clientOf(t, url, {
        tokenFile: join(directory, "token"),
        tls: { caFile: authority.file },
      }),
      hub: device.hub,
      principal: anybody,
      clock,
      logger: keptLog(),
      backoffMs: () => 50,
    });
    t.teardown(() => attachment.stop());
    attachment.start();
    await eventually(() => gateway.hub.agents().length === 2, "the device");

    const generated = generatePython(found.python, directory);
    const script = join(directory, "client.py");
    copyFileSync(join(import.meta.dirname, "../support/grpc-peer/client.py"), script);
    const { host } = new URL(url);
    const said = await runPython(found.python, generated, script, [host, "s3cret", authority.file]);

    t.match(said, { plain: { same: true }, gzip: { same: true } });
    t.comment(`100 MB there and back: ${JSON.stringify([said["plain"], said["gzip"]])}`);
    t.equal(said["device"], "pi-1 heard hello", "over the device's own connection");
    t.same(said["refused"], ["FAILED_PRECONDITION", "bridge.refused", "access.denied"]);
    t.same(said["missing"], ["NOT_FOUND", "bridge.not-found", null]);
    t.same(said["stranger"], ["UNAUTHENTICATED", "bridge.unauthenticated", null]);
    t.equal((said["late"] as string[])[0], "DEADLINE_EXCEEDED");
    t.equal((said["large"] as string[])[0], "RESOURCE_EXHAUSTED");
    const one = { state: "AGENT_STATE_ALIVE", cores: 4, health: "ok" };
    t.same(said["agents"], [
      { agent: "gateway", ...one, via: [] },
      { agent: "pi-1", ...one, via: ["pi-1/bridge"] },
    ]);
    t.same(said["watched"], ["upserted", "upserted", "complete"]);
    t.same(said["heard"], [
      ["sensors/0/t", "0"],
      ["sensors/1/t", "1"],
      ["sensors/2/t", "2"],
    ]);
    t.equal(said["uploaded"], 3_000_000);
    t.equal(said["downloaded"], true);
    const { receivedBytes, sentBytes } = server.counters();
    t.ok(sentBytes < 140_000_000, `${sentBytes}: Python understood our compressed answers`);
    t.ok(receivedBytes > 200_000_000, "both requests came whole");
  },
);
