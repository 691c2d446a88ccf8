// Members on nodes of a network: they dial each other, and nobody speaks for another.
import t from "tap";
import { RaftDesk } from "../../../../src/consensus/raft-member/desk.ts";
import { foundLog } from "../../../../src/consensus/raft-member/founding.ts";
import { RaftMember } from "../../../../src/consensus/raft-member/member.ts";
import { encodeMessage } from "../../../../src/consensus/raft-member/message-codec.ts";
import { defaultMemberOptions } from "../../../../src/consensus/raft-member/options.ts";
import { nodeHasher } from "../../../../src/platform/node/hasher.ts";
import { silentLogger } from "../../../../src/platform/silent-logger.ts";
import { MemoryKeyValueStore } from "../../../../src/simulator/memory-key-value-store.ts";
import { SeededRandom } from "../../../../src/simulator/seeded-random.ts";
import { VirtualClock } from "../../../../src/simulator/virtual-clock.ts";
import { VirtualEther } from "../../../../src/simulator/virtual-ether.ts";
import { VirtualNetwork } from "../../../../src/simulator/virtual-network.ts";
import { Journal } from "../../../support/raft-member-world.ts";

const GROUP = "0102030405060708090a0b0c0d0e0f10";

async function world(peers: readonly string[]) {
  const clock = new VirtualClock();
  const random = new SeededRandom("desk");
  const ether = new VirtualEther({ clock, random: random.fork("ether"), hasher: nodeHasher });
  const offences: string[] = [];
  const roster = new Map(peers.map((peer, at) => [at + 1, peer]));
  const nodes = await Promise.all(
    [...roster].map(async ([id, self]) => {
      const gate = {
        admits: () => true,
        allows: () => undefined,
        offence: (peer: string, kind: string) => void offences.push(`${peer} ${kind}`),
      };
      const bounds = { messageBytesMax: 65_536, queueBytesMax: 1e6, bulkIdleTimeoutMs: 1_000 };
      const network = new VirtualNetwork(ether, { self, gate, ...bounds });
      await network.start(() => undefined);
      const desk = new RaftDesk({
        network,
        gate,
        clock,
        link: async (peer) => {
          const addresses = [`/memory/${peer}/p2p/${peer}`];
          await network.connect({ peer, addresses }, { timeoutMs: 1_000 });
        },
      });
      const journal = new Journal();
      const disk = await foundLog(new MemoryKeyValueStore(), GROUP, roster, new Journal());
      const member = new RaftMember({
        id,
        disk,
        machine: journal,
        sponsors: new Map(),
        clock,
        random: random.fork(self),
        logger: silentLogger,
        options: defaultMemberOptions,
        send: desk.sender(GROUP),
        onChange: () => undefined,
        onLost: (error) => {
          throw error;
        },
      });
      desk.join(GROUP, member);
      member.start();
      return { id, self, network, desk, member, journal };
    }),
  );
  return { clock, nodes, offences };
}

t.test("members find each other, decide, and go on when links break", async (t) => {
  const { clock, nodes } = await world(["a", "b", "c"]);
  const [a, b, c] = nodes;
  await clock.advance(10_000);
  const leader = a?.member.status().leader;
  t.ok(leader !== undefined && leader > 0, "somebody leads, though nobody was linked at first");
  const first = b?.member.propose(Buffer.from("one"), { timeoutMs: 5_000 });
  await clock.advance(1_000);
  t.match(await first, { index: 3 });
  await a?.network.disconnect("b");
  await a?.network.disconnect("c");
  const second = c?.member.propose(Buffer.from("two"), { timeoutMs: 20_000 });
  await clock.advance(10_000);
  await second;
  for (const { journal, self } of nodes) t.same(journal.values, ["one", "two"], self);
});

t.test("a stranger, and a member in the name of another, are not heard", async (t) => {
  const { clock, nodes, offences } = await world(["a", "b", "c"]);
  const [a, b] = nodes;
  await clock.advance(10_000);
  const { term = 0 } = a?.member.status() ?? {};
  const group = Buffer.from(GROUP, "hex");
  const vote = {
    kind: "vote",
    to: 1,
    term: term + 5,
    index: 99,
    logTerm: 99,
    transfer: true,
  } as const;
  const { network } = b ?? {};
  const say = (bytes: Uint8Array) =>
    network?.send(
      "a",
      {
        id: "/agent-mesh/raft/1.0.0",
        messageBytesMax: 1e6,
        queueBytesMax: 1e6,
        requestsInFlightMax: 1,
      },
      bytes,
    );
  await say(encodeMessage(group, { ...vote, from: 3 }));
  await say(encodeMessage(Buffer.alloc(16, 9), { ...vote, from: 2 }));
  await say(Buffer.from("garbage"));
  await clock.advance(1_000);
  t.equal(a?.member.status().term, term, "no vote was counted");
  t.equal(a?.desk.stray, 2);
  t.same(offences, ["b malformed"]);
});
