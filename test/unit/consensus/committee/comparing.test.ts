// How agents find out that they go by the same committee: a few bytes where it is so, a record where it is not.
import { create, toBinary } from "@bufbuild/protobuf";
import t from "tap";
import { Committee } from "../../../../src/consensus/committee/committee.ts";
import type { FleetSight } from "../../../../src/consensus/committee/fleet-sight.ts";
import { makeFounding, signFounding } from "../../../../src/consensus/committee/founding.ts";
import {
  type CommitteeQuestion,
  type CommitteeReply,
  decodeRequest,
  encodeAnswer,
  encodeRequest,
} from "../../../../src/consensus/committee/message-codec.ts";
import { defaultCommitteeOptions } from "../../../../src/consensus/committee/options.ts";
import { recordOf } from "../../../../src/consensus/committee/record.ts";
import type { SeatMaker } from "../../../../src/consensus/committee/seat.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";
import { silentLogger } from "../../../../src/platform/silent-logger.ts";
import { MemoryKeyValueStore } from "../../../../src/simulator/memory-key-value-store.ts";
import { VirtualClock } from "../../../../src/simulator/virtual-clock.ts";
import { VirtualKeys } from "../../../../src/simulator/virtual-signer.ts";
import {
  CommitteeRecordWantedSchema,
  CommitteeRequestSchema,
} from "../../../../src/wire/agent_mesh/v1/committee_pb.ts";

const keys = new VirtualKeys();
const founders = ["a", "b", "c"].map((name) => keys.signer(name));

/** What three agents founded. */
function founded(group: string, members = founders) {
  const names = members.map(({ peerId }) => peerId).sort();
  const founding = makeFounding(members[0]!, { group, protocol: "raft", founders: names });
  const signatures = members.map((signer) => ({
    founder: signer.peerId,
    signature: signFounding(signer, founding),
  }));
  return recordOf(members[0]!, { founding, signatures, changes: [] });
}

const noSeats: SeatMaker = {
  found: () => Promise.reject(new Error("nobody founds here")),
  join: () => Promise.reject(new Error("nobody joins here")),
  resume: () => Promise.reject(new Error("nobody resumes here")),
  isBegun: () => Promise.resolve(false),
  forget: () => Promise.resolve(),
};

/** Agents that ask each other; what goes to and fro is counted. */
class Pair {
  readonly said: { readonly question: CommitteeQuestion; readonly reply: CommitteeReply }[] = [];
  bytes = 0;
  readonly agents = new Map<string, Committee>();

  constructor(names: readonly string[]) {
    for (const name of names) {
      const signer = keys.signer(name);
      const sight: FleetSight = {
        self: signer.peerId,
        wanted: () => [],
        fitness: () => "fit",
        neighbours: () => [],
      };
      const committee = new Committee({
        signer,
        store: new MemoryKeyValueStore(),
        clock: new VirtualClock(),
        random: new SeededRandom(name),
        logger: silentLogger,
        options: { ...defaultCommitteeOptions, protocol: "raft", foundersMin: 3 },
        sight,
        seats: noSeats,
        follower: { follow: (founding) => founding.founders },
        ask: async (peer, question) => {
          const asked = this.agents.get(peer);
          if (asked === undefined) throw new Error(`${peer} is not there`);
          const bytes = encodeRequest(question);
          const read = decodeRequest(bytes);
          if (read === undefined) throw new Error("nobody understands that");
          const reply = await asked.take(signer.peerId, read);
          this.said.push({ question, reply });
          this.bytes += bytes.length + encodeAnswer(reply).length;
          return reply;
        },
        onChange: () => undefined,
      });
      this.agents.set(signer.peerId, committee);
    }
  }

  /** There is a link between them now. */
  async meet(): Promise<void> {
    const [one, other] = [...this.agents.keys()] as [string, string];
    this.agents.get(one)?.met(other);
    this.agents.get(other)?.met(one);
    for (let turn = 0; turn < 50; turn++) await Promise.resolve();
  }
}

t.test("two that go by the same committee say so in a few bytes", async (t) => {
  const pair = new Pair(["x", "y"]);
  const record = founded("00112233445566778899aabbccddeeff");
  for (const committee of pair.agents.values())
    await committee.take("somebody", { case: "record", value: record });
  pair.said.length = 0;
  pair.bytes = 0;
  await pair.meet();
  t.same(
    pair.said.map(({ question, reply }) => [question.case, reply.case]),
    [
      ["recordWanted", undefined],
      ["recordWanted", undefined],
    ],
  );
  t.ok(pair.bytes < 50, `${pair.bytes} bytes`);
});

t.test("who knows none, or another one, is told", async (t) => {
  const pair = new Pair(["x", "y"]);
  const [x, y] = [...pair.agents.values()] as [Committee, Committee];
  const small = founded("ff112233445566778899aabbccddeeff");
  await x.take("somebody", { case: "record", value: small });
  await pair.meet();
  t.equal(y.known?.founding.group, "ff112233445566778899aabbccddeeff");
  // Of two with as many founders the smaller group counts.
  const better = founded("00112233445566778899aabbccddeeff");
  await y.take("somebody", { case: "record", value: better });
  await pair.meet();
  t.equal(x.known?.founding.group, "00112233445566778899aabbccddeeff");
});

t.test(
  "an agent of before asks without saying what it knows, and pushes what it does",
  async (t) => {
    const pair = new Pair(["x"]);
    const [x] = [...pair.agents.values()] as [Committee];
    const record = founded("00112233445566778899aabbccddeeff");
    const pushed = await x.take("old", { case: "record", value: record });
    t.equal(pushed.case, "record", "the answer to a record is what is known now");
    const asked = decodeRequest(
      toBinary(
        CommitteeRequestSchema,
        create(CommitteeRequestSchema, {
          body: { case: "recordWanted", value: create(CommitteeRecordWantedSchema) },
        }),
      ),
    );
    t.equal(asked && (await x.take("old", asked)).case, "record");
  },
);
