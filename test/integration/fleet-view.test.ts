// Real nodes over TCP: all know all within seconds, and one answers for all where no table holds them.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { type MeshNode, openMeshNode } from "../../src/mesh/production.ts";
import { eventually } from "../support/mosquitto.ts";

/** Fifty take half a minute and a core: for whoever asks. */
const NODES = Number(process.env["FLEET_NODES"] ?? 20);
t.setTimeout(120_000);

/** In one process, each linked to one that came before. */
async function swarm(t: Test, membersMax?: number): Promise<MeshNode[]> {
  const data = mkdtempSync(join(tmpdir(), "fleet-view-"));
  t.teardown(() => rmSync(data, { recursive: true, force: true }));
  const nodes: MeshNode[] = [];
  t.teardown(() => Promise.all(nodes.map((node) => node.stop())));
  for (let at = 0; at < NODES; at++) {
    const name = `node-${at}`;
    const limit = membersMax === undefined ? {} : { membersMax };
    const node = await openMeshNode({ dataDirectory: join(data, name), name, ...limit });
    await node.start();
    if (at > 0) await node.join(nodes[at >> 1]!.addresses());
    nodes.push(node);
  }
  return nodes;
}

t.test(`${NODES} nodes know all, and a change at one is seen at all`, async (t) => {
  const nodes = await swarm(t);
  await eventually(() => nodes.every((node) => node.memberCounts().alive === NODES));
  t.ok(nodes.every((node) => node.fleetSize().agents === NODES));
  const [changed] = nodes;
  const beginMs = performance.now();
  changed!.describe({
    agentId: "node-0",
    version: "library",
    addresses: [],
    health: { status: "degraded", powerMode: "saving" },
  });
  await eventually(() =>
    nodes.every((node) => node.member(changed!.id)?.record.health?.status === "degraded"),
  );
  t.comment(`seen at all after ${Math.round(performance.now() - beginMs)} ms`);
  const survey = await nodes[7]!.surveys()!.survey(1_000);
  t.match(survey, { ended: "known", progress: { coverage: 1, asked: 0, found: NODES } });
});

t.test(`any of ${NODES} nodes with tables of 16 answers for all`, async (t) => {
  const nodes = await swarm(t, 16);
  await eventually(() => nodes.every((node) => node.memberCounts().alive === 16));
  for (const asker of [nodes[0]!, nodes[NODES - 1]!]) {
    const survey = await asker.surveys()!.survey(60_000);
    const { found, asked, requests } = survey!.progress;
    t.comment(
      `found ${found} after asking ${asked} in ${requests} requests, ${Math.round(survey!.tookMs)} ms`,
    );
    t.equal(found, NODES);
    t.ok(asked < NODES);
    const names = [...survey!.rows.values()].map(({ agentId }) => agentId);
    t.strictSame(names.sort(), nodes.map((_, at) => `node-${at}`).sort());
  }
});
