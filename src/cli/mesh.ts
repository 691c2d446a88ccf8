import { randomBytes } from "node:crypto";
import type { Command } from "commander";
import type { Body } from "../api/schemas/common.ts";
import type { joined, mesh, meshPeers } from "../api/schemas/mesh.ts";
import { registerMeshAccess } from "./mesh-access.ts";
import { bytes, duration, plural, print, printJson, printPairs, printTable } from "./output.ts";
import { RestClient, type RestOptions, withRestOptions } from "./rest-client.ts";

/** Adds `agent-mesh mesh status|peers|join|unlink|network-key`, and what `registerMeshAccess` adds. */
export function registerMesh(program: Command): void {
  const group = program
    .command("mesh")
    .description("look at and steer the links to other agents")
    .exitOverride();
  withRestOptions(group.command("status").description("this node of the mesh")).action(
    async (options: RestOptions) => {
      const client = await RestClient.open(options);
      const status = await client.get<Body<typeof mesh>>("/v1/mesh");
      if (options.json === true) printJson(status);
      else printStatus(status);
    },
  );
  withRestOptions(group.command("peers").description("the nodes that are linked now")).action(
    async (options: RestOptions) => {
      const client = await RestClient.open(options);
      const page = await client.get<Body<typeof meshPeers>>("/v1/mesh/peers?limit=500");
      if (options.json === true) return printJson(page);
      const rows = page.items.map((peer) => [
        peer.peerId,
        peer.agentId ?? "no agent",
        peer.state ?? "",
        peer.transport,
        peer.direction,
        duration(peer.linkedForMs),
      ]);
      printTable(["PEER", "AGENT", "STATE", "OVER", "DIRECTION", "SINCE"], rows, "no neighbours");
    },
  );
  withRestOptions(
    group
      .command("join")
      .argument("<address...>", "multiaddresses, such as /ip4/192.0.2.7/tcp/4001")
      .description("link to other nodes; those that do not answer are tried again"),
  ).action(async (addresses: string[], options: RestOptions) => {
    const client = await RestClient.open(options);
    const answer = await client.post<Body<typeof joined>>("/v1/mesh/peers", { addresses });
    if (options.json === true) return printJson(answer);
    for (const peer of answer.peers) print(`linked to ${peer}`);
  });
  withRestOptions(
    group.command("unlink").argument("<peer>").description("close the links to a neighbour"),
  ).action(async (peer: string, options: RestOptions) => {
    const client = await RestClient.open(options);
    await client.delete(`/v1/mesh/peers/${encodeURIComponent(peer)}`);
    if (options.json === true) printJson({ peer, unlinked: true });
    else print(`the links to ${peer} are closed`);
  });
  registerMeshAccess(group);
  group
    .command("network-key")
    .description("print a new key for a private network, to keep in mesh.networkKeyFile")
    .option("--json", "print JSON")
    .action(({ json }: { json?: true }) => {
      const networkKey = `/key/swarm/psk/1.0.0/\n/base16/\n${randomBytes(32).toString("hex")}`;
      if (json === true) printJson({ networkKey });
      else print(networkKey);
    });
}

function printStatus(status: Body<typeof mesh>): void {
  if (!status.enabled) {
    print("the mesh is off; set mesh.enabled=true");
    return;
  }
  const { members, counters } = status;
  printPairs([
    ["peer id", status.peerId ?? ""],
    ["listens", status.addresses.join(" ") || "nowhere"],
    ["network", status.privateNetwork ? "private, by key" : "open to every node"],
    [
      "fleet",
      `${members.alive} alive, ${members.suspect} suspect, ${members.dead} dead, ${members.left} left`,
    ],
    ["links", String(status.links)],
    ["out of reach", `${Math.round(status.partitionScore * 100)} % of the fleet`],
    ["traffic", `${bytes(counters.sentBytes)} sent, ${bytes(counters.receivedBytes)} received`],
    ["refused", plural(sum(Object.values(counters.refusals)), "message")],
    ...status.bootstrap.map(
      ({ address, fault, attempts }) =>
        [`bootstrap`, `${address}: ${fault ?? "linked"} (${plural(attempts, "attempt")})`] as const,
    ),
  ]);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
