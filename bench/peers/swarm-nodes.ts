/**
 * Real nodes of the mesh for `bench/suites/swarm.ts`, some of them in one process, told over IPC what to do.
 * Times are milliseconds since 1970 with fractions, which all processes of a machine share.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type MeshNode, openMeshNode } from "../../src/mesh/production.ts";

/** What a process of nodes is told. */
export type Order =
  | { readonly do: "join"; readonly addresses: readonly string[] }
  | { readonly do: "publish"; readonly round: number }
  | { readonly do: "counts" }
  /** The first node asks around for the whole fleet. */
  | { readonly do: "survey" }
  | { readonly do: "stop" };

/** What it tells. */
export type Report =
  | {
      readonly tells: "ready";
      readonly nodes: readonly { id: string; addresses: readonly string[] }[];
    }
  | { readonly tells: "received"; readonly round: number; readonly atMs: number }
  | { readonly tells: "published"; readonly round: number; readonly atMs: number }
  | {
      readonly tells: "change";
      readonly by: string;
      readonly kind: string;
      readonly peer: string;
      readonly atMs: number;
    }
  | { readonly tells: "counts"; readonly alive: readonly number[] }
  | {
      readonly tells: "survey";
      readonly found: number;
      readonly asked: number;
      readonly bytes: number;
      readonly tookMs: number;
    };

const now = (): number => performance.timeOrigin + performance.now();
const tell = (report: Report): void => void process.send?.(report);

const [directory = "", count = "1", membersMax] = process.argv.slice(2);
const nodes: MeshNode[] = [];
for (let at = 0; at < Number(count); at++) {
  const data = mkdtempSync(join(directory, "node-"));
  process.on("exit", () => rmSync(data, { recursive: true, force: true }));
  const node: MeshNode = await openMeshNode({
    dataDirectory: data,
    ...(membersMax !== undefined && { membersMax: Number(membersMax) }),
    onChange: ({ kind, peer }) => tell({ tells: "change", by: node.id, kind, peer, atMs: now() }),
  });
  await node.start();
  node.subscribe("bench", (_from, payload) =>
    tell({ tells: "received", round: Number(Buffer.from(payload).toString()), atMs: now() }),
  );
  nodes.push(node);
}

async function survey(): Promise<void> {
  const state = await nodes[0]?.surveys()?.survey(60_000);
  if (state === undefined) throw new Error("the first node makes no surveys");
  const { found, asked, bytes } = state.progress;
  tell({ tells: "survey", found, asked, bytes, tookMs: state.tookMs });
}

process.on("message", (order: Order) => {
  switch (order.do) {
    case "join":
      for (const node of nodes) void node.join(order.addresses).catch(() => undefined);
      break;
    case "publish":
      tell({ tells: "published", round: order.round, atMs: now() });
      void nodes[0]?.broadcast("bench", Buffer.from(String(order.round)));
      break;
    case "counts":
      tell({ tells: "counts", alive: nodes.map((node) => node.memberCounts().alive) });
      break;
    case "survey":
      void survey();
      break;
    case "stop":
      void Promise.all(nodes.map((node) => node.stop())).then(() => process.exit(0));
      break;
  }
});
tell({
  tells: "ready",
  nodes: nodes.map((node) => ({ id: node.id, addresses: node.addresses() })),
});
