import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { AgentProcess } from "../support/agent-process.ts";

t.test("the built agent listens on every transport", async (t) => {
  const data = mkdtempSync(join(tmpdir(), "transports-"));
  t.teardown(() => rmSync(data, { recursive: true, force: true }));
  const agent = await AgentProcess.start(t, data, [
    "mesh.port=0",
    "mesh.webSocketPort=0",
    "mesh.webRtcPort=0",
    'mesh.transports=["tcp","ws","quic","webrtc"]',
  ]);
  const { peerId, addresses } = await agent.get<{ peerId: string; addresses: string[] }>(
    "/v1/mesh",
  );
  for (const shape of [
    /^\/ip4\/127\.0\.0\.1\/tcp\/\d+\/p2p\//,
    /^\/ip4\/127\.0\.0\.1\/tcp\/\d+\/ws\/p2p\//,
    /^\/ip4\/127\.0\.0\.1\/udp\/\d+\/quic-v1\/p2p\//,
    /^\/ip4\/127\.0\.0\.1\/udp\/\d+\/webrtc-direct\/certhash\/[^/]+\/p2p\//,
  ])
    t.ok(
      addresses.some((address) => shape.test(address) && address.endsWith(peerId)),
      `${shape}`,
    );
  t.equal((await agent.stop()).code, 0, agent.log);
});
