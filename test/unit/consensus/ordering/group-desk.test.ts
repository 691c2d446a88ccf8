// Groups on nodes of a network: each hears its own, nobody else's, and members dial each other.
import t from "tap";
import { GroupDesk } from "../../../../src/consensus/ordering/group-desk.ts";
import { NetworkError, type Protocol } from "../../../../src/platform/network.ts";
import { nodeHasher } from "../../../../src/platform/node/hasher.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";
import { VirtualClock } from "../../../../src/simulator/virtual-clock.ts";
import { VirtualEther } from "../../../../src/simulator/virtual-ether.ts";
import { VirtualNetwork } from "../../../../src/simulator/virtual-network.ts";

const GROUP = "0102030405060708090a0b0c0d0e0f10";
const OTHER = "ffeeddccbbaa99887766554433221100";
const PROTOCOL: Protocol = {
  id: "/agent-mesh/raft/1.0.0",
  messageBytesMax: 1e6,
  queueBytesMax: 1e6,
  requestsInFlightMax: 1,
};

async function world(peers: readonly string[]) {
  const clock = new VirtualClock();
  const random = new SeededRandom("desk");
  const ether = new VirtualEther({ clock, random: random.fork("ether"), hasher: nodeHasher });
  const offences: string[] = [];
  const nodes = await Promise.all(
    peers.map(async (self) => {
      const gate = {
        admits: () => true,
        allows: () => undefined,
        offence: (peer: string, kind: string) => void offences.push(`${peer} ${kind}`),
      };
      const bounds = { messageBytesMax: 65_536, queueBytesMax: 1e6, bulkIdleTimeoutMs: 1_000 };
      const network = new VirtualNetwork(ether, { self, gate, ...bounds });
      await network.start(() => undefined);
      const dials: string[] = [];
      const link = async (peer: string): Promise<void> => {
        dials.push(peer);
        const addresses = [`/memory/${peer}/p2p/${peer}`];
        await network.connect({ peer, addresses }, { timeoutMs: 1_000 });
      };
      const desk = new GroupDesk({ network, gate, clock, link }, PROTOCOL);
      return { self, network, desk, dials };
    }),
  );
  const [a, b] = nodes;
  if (a === undefined || b === undefined) throw new Error("two nodes at least");
  return { clock, a, b, offences };
}

t.test("who is not linked is dialled, once a second, and hears its own group only", async (t) => {
  const { clock, a, b } = await world(["a", "b"]);
  const heard: string[] = [];
  const inGroup = b.desk.channel(GROUP);
  inGroup.listen((from, bytes) => heard.push(`${from} ${Buffer.from(bytes).toString()}`));
  b.desk.channel(OTHER).listen(() => heard.push("of the other group"));
  const channel = a.desk.channel(GROUP);
  for (let time = 0; time < 3; time++)
    await t.rejects(channel.send("b", Buffer.from("lost")), NetworkError);
  t.same(a.dials, ["b"]);
  await clock.advance(1_000);
  await channel.send("b", Buffer.from("one"));
  await channel.send("b", Buffer.from("two"));
  await clock.advance(1_000);
  t.same(heard, ["a one", "a two"]);
  inGroup.close();
  await channel.send("b", Buffer.from("three"));
  await clock.advance(1_000);
  t.equal(heard.length, 2, "who has left hears nothing");
  t.equal(b.desk.stray, 1);
});

t.test("what is too short for any group is an offence", async (t) => {
  const { clock, a, b, offences } = await world(["a", "b"]);
  const linked = b.network.connect(
    { peer: "a", addresses: ["/memory/a/p2p/a"] },
    { timeoutMs: 1_000 },
  );
  await clock.advance(1_000);
  await linked;
  await b.network.send("a", PROTOCOL, Buffer.from("garbage"));
  await clock.advance(1_000);
  t.same(offences, ["b malformed"]);
  t.equal(a.desk.stray, 0);
  t.throws(() => a.desk.channel("0102"), /16 bytes/);
});
