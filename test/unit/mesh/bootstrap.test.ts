import t from "tap";
import { BootstrapDialer, type BootstrapNeed } from "../../../src/mesh/fleet/bootstrap-dialer.ts";
import { needOfBootstrap } from "../../../src/mesh/fleet/bootstrap-need.ts";
import type { Member, MemberState } from "../../../src/mesh/membership/member.ts";
import { type Link, NetworkError } from "../../../src/platform/network.ts";
import { SeededRandom } from "../../../src/platform/seeded-random.ts";
import { VirtualClock } from "../../../src/simulator/virtual-clock.ts";

const MINUTE_MS = 60_000;
const MEMBERS_MAX = 10;

/** What an agent with so many links, and so many in its table of ten, sees. */
function around(links: number, alive: number, known: Readonly<Record<string, MemberState>> = {}) {
  return {
    links: Array.from({ length: links }, (_, at) => ({ peer: `linked-${at}` }) as Link),
    fleet: {
      member: (peer: string) =>
        known[peer] === undefined ? undefined : ({ state: known[peer] } as Member),
      isPartial: () => alive >= MEMBERS_MAX,
    },
    options: { neighboursWanted: 4 },
  };
}

t.test("whom to dial that somebody gave as a beginning", async (t) => {
  const [nobody, answered] = [undefined, "seed"];
  const cases: readonly (readonly [
    BootstrapNeed,
    string | undefined,
    string | undefined,
    ReturnType<typeof around>,
  ])[] = [
    ["now", nobody, "seed", around(0, 1)],
    ["now", answered, "seed", around(0, 1, { seed: "alive" })],
    ["none", answered, "seed", around(4, 8, { seed: "alive" })],
    ["now", answered, "seed", around(4, 8, { seed: "dead" })],
    ["now", answered, "seed", around(4, 8)],
    ["none", answered, "seed", around(4, 10)],
    ["now", nobody, "seed", around(3, 8)],
    ["none", nobody, "seed", around(4, 8, { seed: "alive" })],
    ["someday", nobody, "seed", around(4, 8, { seed: "left" })],
    ["someday", nobody, "seed", around(4, 8)],
    ["someday", nobody, nobody, around(4, 8)],
    ["none", nobody, nobody, around(4, 10)],
    ["none", nobody, "seed", around(4, 10)],
  ];
  for (const [need, peer, named, seen] of cases)
    t.equal(
      needOfBootstrap({ peer, named }, seen),
      need,
      `${peer} answered, ${named} expected, ${seen.links.length} links`,
    );
});

t.test(
  "an address that never answered is dialled for ever, however well linked the agent is",
  async (t) => {
    const clock = new VirtualClock();
    const asked: unknown[] = [];
    let dials = 0;
    let need: BootstrapNeed = "now";
    const dialer = new BootstrapDialer({
      clock,
      random: new SeededRandom("bootstrap"),
      dial: async () => {
        dials++;
        if (dials < 30) throw new NetworkError("network.unreachable", "nobody listens there");
        return "seed";
      },
      need: (who) => {
        asked.push(who.named);
        return need;
      },
    });
    await t.rejects(dialer.add("/ip4/192.0.2.7/tcp/4001/p2p/seed"), {
      code: "network.unreachable",
    });
    await clock.advance(5 * MINUTE_MS);
    const fast = dials;
    t.ok(fast > 7, `${fast} dials in five minutes`);
    t.ok(asked.every((named) => named === "seed"));

    need = "someday";
    await clock.advance(30 * MINUTE_MS);
    const slow = dials - fast;
    t.ok(slow >= 9 && slow <= 20, `${slow} dials in half an hour`);
    need = "none";
    await clock.advance(30 * MINUTE_MS);
    t.equal(dials, fast + slow, "it has come without that");
    t.same(dialer.status(), [
      {
        address: "/ip4/192.0.2.7/tcp/4001/p2p/seed",
        attempts: dials,
        fault: "nobody listens there",
      },
    ]);
    need = "someday";
    await clock.advance(30 * MINUTE_MS);
    t.match(dialer.status(), [{ peer: "seed" }]);
    dialer.stop();
  },
);
