/**
 * A member of a Raft group as it runs on a device: LevelDB, libp2p, and a key-value store behind the part of etcd's JSON
 * gateway that the suite `consensus` uses: `raft-node.ts FILE NUMBER`, the file being a {@link RaftNodeFile}.
 */
import { existsSync, readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { GroupDesk } from "../../src/consensus/ordering/group-desk.ts";
import type { Ordering } from "../../src/consensus/ordering/ordering.ts";
import { openRaftOrdering, RAFT_PROTOCOL } from "../../src/consensus/raft-member/raft-ordering.ts";
import { LevelStore } from "../../src/platform/level/level-store.ts";
import { identityKeyFrom } from "../../src/platform/libp2p/identity-key.ts";
import { Libp2pNetwork } from "../../src/platform/libp2p/libp2p-network.ts";
import type { NetworkGate } from "../../src/platform/network.ts";
import { nodeHasher } from "../../src/platform/node/hasher.ts";
import { SystemClock } from "../../src/platform/node/system-clock.ts";
import { SystemRandom } from "../../src/platform/node/system-random.ts";
import { silentLogger } from "../../src/platform/silent-logger.ts";
import { KeyValueMachine, putCommand } from "../support/key-value-machine.ts";

/** What all members are told. */
export interface RaftNodeFile {
  readonly group: string;
  readonly members: readonly {
    /** Identity key as PKCS #8. */
    readonly pem: string;
    readonly meshPort: number;
    readonly httpPort: number;
    readonly directory: string;
  }[];
}

const TIMEOUT_MS = 10_000;

const [file = "", number] = process.argv.slice(2);
const { group, members } = JSON.parse(readFileSync(file, "utf8")) as RaftNodeFile;
const keys = members.map(({ pem }) => identityKeyFrom(pem));
const at = Number(number);
const [own, key] = [members[at], keys[at]];
if (own === undefined || key === undefined) throw new Error(`there is no member ${number}`);

const clock = new SystemClock();
const gate: NetworkGate = {
  admits: () => true,
  allows: () => undefined,
  offence: (peer, kind) => process.stderr.write(`offence of ${peer}: ${kind}\n`),
};
const network = await Libp2pNetwork.create({
  ...key,
  agentVersion: "agent-mesh/bench",
  transports: ["tcp"],
  listen: [`/ip4/127.0.0.1/tcp/${own.meshPort}`],
  announce: [],
  encryptions: ["noise"],
  networkKey: undefined,
  mdns: false,
  mdnsIntervalMs: 10_000,
  directory: undefined,
  relay: { use: false, serve: false },
  connectionsMax: 64,
  inboundPerSecondMax: 1_000,
  messageBytesMax: 1_048_576,
  queueBytesMax: 4_194_304,
  bulkIdleTimeoutMs: 20_000,
  pace: { gossipIntervalMs: 1_000 },
  clock,
  gate,
  logger: silentLogger,
});
const isNew = !existsSync(own.directory);
const store = await LevelStore.open({ directory: own.directory, logger: silentLogger });
const link = async (peer: string): Promise<void> => {
  const other = members[keys.findIndex(({ signer }) => signer.peerId === peer)];
  const addresses = [`/ip4/127.0.0.1/tcp/${other?.meshPort}`];
  await network.connect({ peer, addresses }, { timeoutMs: 5_000 });
};
const desk = new GroupDesk({ network, gate, clock, link }, RAFT_PROTOCOL);
const machine = new KeyValueMachine();
const founders = keys.map(({ signer }) => signer.peerId);
const ordering = await openRaftOrdering({
  group,
  beginning: isNew ? { kind: "found", members: founders } : { kind: "resume" },
  machine,
  channel: desk.channel(group),
  signer: key.signer,
  store,
  clock,
  random: new SystemRandom(),
  hasher: nodeHasher,
  logger: silentLogger,
  onChange: () => undefined,
  onLost: (error) => {
    throw error;
  },
});
await network.start(() => undefined);
ordering.start();

/** Answers as etcd's gateway does, as far as the loader looks. */
async function answer(url: string, body: string): Promise<unknown> {
  if (url === "/v3/maintenance/status") return statusOf(ordering);
  const asked = JSON.parse(body) as { readonly key: string; readonly value?: string };
  const patience = { timeoutMs: TIMEOUT_MS };
  if (url === "/v3/kv/put") {
    const command = putCommand(asked.key, Buffer.from(asked.value ?? "", "base64"));
    const { position } = await ordering.submit(command, patience);
    return { header: { revision: String(position) } };
  }
  if (url !== "/v3/kv/range") throw new Error(`no ${url} here`);
  await ordering.read(patience);
  const value = machine.get(asked.key);
  const header = { revision: String(ordering.status().position) };
  if (value === undefined) return { header };
  return { header, kvs: [{ key: asked.key, value: value.toString("base64") }], count: "1" };
}

function statusOf(ordering: Ordering): unknown {
  const { leader, term } = ordering.status();
  return { header: { member_id: key?.signer.peerId, raft_term: String(term) }, leader };
}

const server = createServer((request: IncomingMessage, response: ServerResponse) => {
  const chunks: Buffer[] = [];
  const end = (status: number, body: unknown): void => {
    const text = JSON.stringify(body);
    response.writeHead(status, {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(text),
    });
    response.end(text);
  };
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    answer(request.url ?? "", Buffer.concat(chunks).toString()).then(
      (body) => end(200, body),
      (error: Error) => end(503, { error: error.message }),
    );
  });
});
server.listen(own.httpPort, "127.0.0.1");
// By itself, so that a profile is written where one was asked for.
process.once("SIGTERM", () => process.exit());
