// A fleet that no agent can hold: how large it is, and who is in it, as any of its agents finds out.
import t from "tap";
import { CachingVerifier } from "../../src/mesh/records/record-verifier.ts";
import { Answerer } from "../../src/mesh/survey/answerer.ts";
import { ASKS_MAX, ROWS_MAX } from "../../src/mesh/survey/bounds.ts";
import { Survey, type SurveyEffects, type SurveyInput } from "../../src/mesh/survey/survey.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { World } from "./membership-world.ts";

const seed = process.env["SIM_SEED"] ?? String(Math.floor(Math.random() * 2 ** 31));
const size = Number(process.env["FLEET_AGENTS"] ?? 1_000);
const membersMax = Number(process.env["FLEET_TABLE"] ?? 128);
const minutes = Number(process.env["FLEET_MINUTES"] ?? 3);
t.comment(`seed ${seed} (SIM_SEED=${seed} repeats it); FLEET_AGENTS, FLEET_TABLE, FLEET_MINUTES`);
// A machine that may be busy does a million steps.
t.setTimeout(size > 1_000 ? 3_000_000 : 170_000);

/** Each is asked over a link that takes no time; the order of the answers is by chance. */
function survey(world: World, asker: number, random: SeededRandom) {
  const membership = world.membership(asker);
  const verifier = new CachingVerifier(world.keys.signer("survey"), 256);
  const self = world.peer(asker);
  const contacts = [...membership.members()]
    .filter(({ record }) => record.peerId !== self)
    .map(({ record: { peerId, addresses } }) => ({ peer: peerId, addresses }));
  const subject = new Survey({
    self,
    verifier,
    random,
    startMs: world.nowMs,
    partial: true,
    rows: membership.members(),
    contacts,
    sample: membership.sample(world.nowMs),
  });
  const answerers = new Map<string, Answerer>();
  const open: SurveyInput[] = [{ kind: "tick", nowMs: world.nowMs }];
  const offences: unknown[] = [];
  for (;;) {
    const [input] = open.splice(Math.floor(random.next() * open.length), 1);
    if (input === undefined) break;
    const effects: SurveyEffects = subject.step(input);
    offences.push(...effects.offences);
    for (const { peer, request } of effects.ask) {
      const members = world.membership(world.indexOf(peer));
      const answerer = answerers.get(peer) ?? new Answerer(() => members.members(), world.nowMs);
      answerers.set(peer, answerer);
      const bytes = answerer.answer(self, request, world.nowMs);
      open.push({ kind: "answer", from: peer, bytes, nowMs: world.nowMs });
    }
  }
  return { subject, offences };
}

t.test(`${size} agents with tables of ${membersMax}`, async (t) => {
  const world = new World({
    seed: `${seed}/fleet-view`,
    membership: { membersMax },
    onChange: () => undefined,
  });
  const random = new SeededRandom(`${seed}/fleet-view/test`);
  world.add();
  for (let at = 1; at < size; at++) {
    world.add();
    for (let count = 0; count < 3; count++) world.introduce(at, Math.floor(random.next() * at));
    if (at % 10 === 0) world.run(50);
  }
  world.run(minutes * 60_000 - world.nowMs);

  const held = world.running().map(({ membership }) => [...membership!.members()].length);
  t.ok(Math.max(...held) <= membersMax, "no table holds more than its bound");

  const sizes = world.running().map(({ membership }) => membership!.fleetSize(world.nowMs));
  const errors = sizes.map(({ agents }) => Math.abs(agents - size) / size).sort((a, b) => a - b);
  const worst = errors.at(-1) ?? 1;
  t.comment(`size estimated at all: median error ${errors[size >> 1]}, worst ${worst}`);
  t.ok(worst < 4 * 0.063, "everybody's estimate is within four standard errors");
  t.ok(sizes.every(({ relativeError }) => relativeError < 0.064));

  for (let count = 0; count < 5; count++) {
    const asker = Math.floor(random.next() * size);
    const { subject, offences } = survey(world, asker, random);
    const { found, coverage, asked, requests, bytes } = subject.progress();
    t.comment(
      `agent ${asker}: found ${found} (says ${coverage.toFixed(3)}) after asking ${asked} in ${requests} requests, ${(bytes / 1e6).toFixed(1)} MB; ended: ${subject.ended}`,
    );
    t.ok(found >= 0.99 * size, "it answers for all");
    t.ok(Math.abs(coverage - found / size) < 0.03, "and knows how far");
    t.ok(asked <= Math.min(ASKS_MAX, size) && found <= ROWS_MAX);
    t.same(offences, []);
  }
});
