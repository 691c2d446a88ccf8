// What membership and links do otherwise in a fleet of which every agent knows but a part.
import { create } from "@bufbuild/protobuf";
import t from "tap";
import { Errands } from "../../../src/mesh/fleet/errands.ts";
import { decodeMessage, WANT_MEMBERS_MAX } from "../../../src/mesh/membership/codec.ts";
import { Sought } from "../../../src/mesh/membership/sought.ts";
import { MemberTable } from "../../../src/mesh/membership/table.ts";
import { TableSync } from "../../../src/mesh/membership/table-sync.ts";
import { Turn } from "../../../src/mesh/membership/turn.ts";
import { SeededRandom } from "../../../src/platform/seeded-random.ts";
import { VirtualClock } from "../../../src/simulator/virtual-clock.ts";
import { ListingSchema, RecordPageSchema } from "../../../src/wire/agent_mesh/v1/membership_pb.ts";
import { knownRecord } from "../../support/known-record.ts";

t.test("who is sought is asked for until it is known", async (t) => {
  const table = new MemberTable("self", 4);
  const sought = new Sought(table, new SeededRandom("sought"));
  /** @returns who was asked for what at that moment */
  const tick = (nowMs: number, neighbour: string | null = "n") => {
    const turn = new Turn(nowMs);
    sought.tick(turn, () => neighbour ?? undefined);
    return turn.effects(0).send.map(({ to, bytes }) => {
      const body = decodeMessage(bytes)?.body;
      return [to, body?.case === "want" ? body.value.peers : body?.case];
    });
  };
  for (const name of ["self", "a", "b"]) table.add(knownRecord(name), "alive", 0);
  sought.set(["a", "x"], 0);
  t.equal(sought.nextAtMs, Number.POSITIVE_INFINITY, "not while there is room for everybody");
  t.same(tick(0), []);
  table.add(knownRecord("c"), "alive", 0);
  t.same(tick(10), [["n", ["x"]]]);
  t.same(tick(500), [], "not at once again");
  t.same(tick(1_300), [["n", ["x"]]]);
  const asked = Array.from({ length: 600 }, (_, s) => tick(2_000 + 1_000 * s)).flat().length;
  t.ok(asked > 10 && asked < 25, `${asked} times in ten minutes: less and less`);
  table.forget("c");
  table.add(knownRecord("x"), "alive", 700_000);
  tick(700_000);
  t.equal(sought.nextAtMs, Number.POSITIVE_INFINITY, "nobody is missing");
  sought.forgot("c", 700_001);
  t.equal(sought.nextAtMs, Number.POSITIVE_INFINITY, "of another one nothing follows");
  table.forget("x");
  table.add(knownRecord("c"), "alive", 700_002);
  sought.forgot("x", 700_002);
  t.same(tick(700_002, null), [], "there is no neighbour");
  t.same(tick(702_000), [["n", ["x"]]]);
  sought.set(["x", "y", "z"], 0);
  t.same(
    ["x", "y", "z"].map((peer) => sought.has(peer)),
    [true, true, false],
    "half a table",
  );
});

t.test("neighbours together are asked for no more than the table has room for", (t) => {
  const table = new MemberTable("self", 400);
  table.add(knownRecord("self"), "alive", 0);
  const counted: number[] = [];
  const sync = new TableSync(
    table,
    new SeededRandom("sync"),
    () => ({ kind: "accusation", bytes: new Uint8Array() }),
    (_, records) => counted.push(records),
  );
  const wanted = (turn: Turn): number => {
    const bodies = turn.effects(0).send.map(({ bytes }) => decodeMessage(bytes)?.body);
    return bodies.reduce(
      (all, body) => all + (body?.case === "want" ? body.value.peers.length : 0),
      0,
    );
  };
  /** @returns how many records the neighbour is asked for that lists so many unknown members */
  const asked = (neighbour: string, nowMs: number, count: number): number => {
    const turn = new Turn(nowMs);
    const peers = Array.from({ length: count }, (_, at) => `${neighbour}/${at}`);
    const listing = create(ListingSchema, {
      peers,
      epochs: peers.map(() => 1),
      sequences: peers.map(() => 0),
      agesS: peers.map(() => 0),
    });
    sync.listing(turn, neighbour, listing, 60_000);
    return wanted(turn);
  };
  const page = create(RecordPageSchema, { last: true });
  const came = (neighbour: string, nowMs: number): number => {
    const turn = new Turn(nowMs);
    sync.page(turn, neighbour, page);
    return wanted(turn);
  };
  const most = WANT_MEMBERS_MAX;
  t.equal(
    asked("liar", 0, 399),
    most,
    "however much it lists, only what it is asked for at once counts",
  );
  t.equal(asked("a", 1, 100), 100);
  t.equal(asked("b", 2, 399), most);
  t.equal(asked("c", 3, 100), 399 - 2 * most - 100, "the rest");
  t.equal(asked("d", 4, 100), 2, "one that has no room still learns of a few");
  t.same(counted, [most, 100, most, 399 - 2 * most - 100, 2]);
  for (let at = 0; at < 100; at++) table.add(knownRecord(`a/${at}`), "alive", 5);
  t.equal(came("a", 5), 0, "it has sent all");
  t.equal(
    came("b", 6),
    299 - most - (299 - 2 * most) - 2,
    "its page brought nothing: there is that much room",
  );
  sync.linkDown("liar");
  t.equal(asked("e", 7, 399), most, "who is gone sends nothing any more");
  t.end();
});

function errands(hasRoom: boolean) {
  const clock = new VirtualClock();
  const linked = new Set(["neighbour"]);
  const log: string[] = [];
  const under = new Errands({
    clock,
    random: new SeededRandom("errands"),
    hasRoom: () => hasRoom,
    open: async (peer) => {
      if (linked.has(peer)) return false;
      if (peer === "full" && clock.monotonicMs() < 1_500) throw new Error("it hung up");
      if (peer === "gone") throw new Error("unreachable");
      log.push(`open ${peer}`);
      linked.add(peer);
      return true;
    },
    part: (peer) => {
      log.push(`part ${peer}`);
      linked.delete(peer);
    },
  });
  return { clock, linked, log, under };
}

t.test("a link that was opened for an errand is closed behind it", async (t) => {
  const { clock, log, under, linked } = errands(false);
  t.equal(await under.run("far", async () => "answer"), "answer");
  await clock.advance(150);
  t.equal(await under.run("far", async () => 2), 2, "another one comes in time");
  await clock.advance(150);
  t.same(log, ["open far"]);
  await clock.advance(200);
  t.same(log, ["open far", "part far"]);
  await under.run("neighbour", async () => 1);
  await clock.advance(5_000);
  t.ok(linked.has("neighbour"), "what was there stays");
  await t.rejects(
    under.run("gone", async () => 1),
    /unreachable/,
  );
  await t.rejects(
    under.run("far", async () => {
      throw new Error("refused");
    }),
    /refused/,
  );
  await clock.advance(2_000);
  t.same(log.slice(2), ["open far", "part far"], "also where it failed");
  let finish = (): void => undefined;
  const long = under.run("far", () => new Promise<void>((resolve) => void (finish = resolve)));
  await clock.advance(10);
  await under.run("far", async () => 1, { lingerMs: 30_000 });
  await clock.advance(60_000);
  t.same(log.slice(4), ["open far"], "not while one is under way");
  finish();
  await long;
  await clock.advance(2_000);
  t.same(log.slice(4), ["open far", "part far"]);
  await under.run("far", async () => 1, { lingerMs: 30_000 });
  await clock.advance(20_000);
  t.ok(linked.has("far"), "the peer may want to ask back");
  linked.delete("far");
  under.linkDown("far");
  await clock.advance(60_000);
  t.equal(log.at(-1), "open far", "what is gone is not closed");
  under.stop();
  t.same(clock.waiting, [], "no timer is left behind");
});

t.test("in a fleet in which everybody can have a link to everybody it stays", async (t) => {
  const { clock, linked, under } = errands(true);
  await under.run("far", async () => 1);
  await clock.advance(60_000);
  t.ok(linked.has("far"));
});

t.test("one that has no room is tried again for a while, not for ever", async (t) => {
  const { clock, under } = errands(false);
  const answer = under.run("full", async () => 1, { patienceMs: 4_000 });
  const gone = under.run("gone", async () => 1, { patienceMs: 4_000 });
  gone.catch(() => undefined);
  await clock.advance(5_000);
  t.equal(await answer, 1);
  await t.rejects(gone, /unreachable/);
  const small = errands(true).under.run("full", async () => 1, { patienceMs: 4_000 });
  await t.rejects(small, /hung up/, "in a small fleet it is not that");
});
