// Whatever fails on the way through neighbours, everything acknowledged arrives once, in order.
import * as fc from "fast-check";
import t from "tap";
import { encodeBatch } from "../../src/mesh/relay/batch-codec.ts";
import { GuestSession } from "../../src/mesh/relay/guest-session.ts";
import { decodeRequest, encodeAnswer, encodeRequest } from "../../src/mesh/relay/relay-codec.ts";
import { Refused } from "../../src/platform/network.ts";
import { GUEST, HOST, HostUnderTest } from "../support/relay-host.ts";
import { type RelayAgent, RelayWorld } from "../support/relay-world.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed });

/** Two that have an uplink, one that passes on, and two that have neighbours alone. */
const IDS = ["left", "right", "middle", "near", "far"] as const;
const who = fc.constantFrom(...IDS);
const happening = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("publish"),
      who,
      count: fc.integer({ min: 1, max: 150 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("wait"), ms: fc.integer({ min: 1, max: 4_000 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("wait"),
      ms: fc.integer({ min: 10_000, max: 100_000 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("crash"),
      who,
      downMs: fc.integer({ min: 1, max: 20_000 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("cut"), who: fc.constantFrom("left", "right") }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("mend"), who: fc.constantFrom("left", "right") }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("lose-disk"), who: fc.constantFrom("left", "right") }),
  },
);
type Happening = typeof happening extends fc.Arbitrary<infer Each> ? Each : never;

async function newWorld(name: string) {
  const world = new RelayWorld(name);
  const middle = ["relay.enabled=true"];
  const agents = {
    left: world.agent("left", ["cloud", "neighbour"], ["relay.bytesPerGuestMax=65536"]),
    right: world.agent("right", ["cloud", "neighbour"]),
    middle: world.agent("middle", ["neighbour"], middle),
    near: world.agent("near", ["neighbour"]),
    far: world.agent("far", ["neighbour"], ['uplinks.0.via=["middle"]']),
  };
  for (const agent of Object.values(agents)) await agent.start(agents.left);
  return { world, agents };
}

async function play(name: string, script: readonly Happening[]): Promise<string[]> {
  const { world, agents } = await newWorld(name);
  const published = new Map<string, number>();
  const restart = async (agent: RelayAgent, downMs: number): Promise<void> => {
    agent.crash();
    await world.clock.advance(downMs);
    await agent.start(agents.left, agents.right);
  };
  for (const step of script) {
    const agent = "who" in step ? agents[step.who] : undefined;
    if ("ms" in step) await world.clock.advance(step.ms);
    if (agent === undefined) continue;
    if ("count" in step) {
      const before = published.get(agent.id) ?? 0;
      const texts = Array.from({ length: step.count }, (_, at) => String(before + at + 1));
      await agent.publish("sensors/a", texts);
      published.set(agent.id, before + step.count);
    } else if ("downMs" in step) await restart(agent, step.downMs);
    else if (step.kind === "cut") agent.receiver.reachable = false;
    else if (step.kind === "mend") agent.receiver.reachable = true;
    else if (!published.has(agent.id)) {
      // Only what it holds of others: its own readings would be gone with it.
      agent.crash();
      agent.loseDisk();
      await agent.start(agents.right, agents.left);
    }
  }
  for (const { receiver } of [agents.left, agents.right]) receiver.reachable = true;
  const waiting = () => Object.values(agents).reduce((sum, { queued }) => sum + queued, 0);
  await world.until("everything to arrive", () => waiting() === 0, 1_200_000, 500);
  const arrived = world.distinct();
  const faults: string[] = [];
  for (const [id, count] of published) {
    const wanted = Array.from({ length: count }, (_, at) => at + 1).join();
    const found = (arrived.get(`${id}/sensors/a`) ?? []).join();
    if (found !== wanted) faults.push(`${id}: ${count} were published, and this came: ${found}`);
  }
  for (const agent of Object.values(agents)) await agent.stop();
  return faults;
}

t.setTimeout(300_000);

t.test("power cuts, lost links, lost disks, chains and changes of hosts", async (t) => {
  let plays = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { minLength: 5, maxLength: 40 }), async (script) => {
      const faults = await play(`play ${plays++}`, script);
      if (faults.length > 0) throw new Error(faults.join("\n").slice(0, 4_000));
    }),
    { numRuns: Number(process.env["FC_RUNS"] ?? 25), endOnFailure: true },
  );
  t.ok(plays > 0, `${plays} scripts`);
});

t.test(
  "bytes that nobody meant are answered or refused by a host, and end a guest's session",
  async (t) => {
    const under = await new HostUnderTest().start();
    const session = await under.hello();
    const path = [GUEST];
    const fields = {
      agentId: "guest",
      stream: "s",
      sequence: 1,
      contentType: "a/b",
      key: "k",
      path,
    };
    const sound = [
      encodeRequest({
        case: "batch",
        value: encodeBatch(session, [
          { ...fields, payload: Buffer.from("1"), observedAtMs: 1, observedAtTrusted: true },
        ]),
      }),
      encodeRequest({ case: "marks", value: { session, streams: ["s"] } }),
      encodeRequest({ case: "hello", value: { agentId: "guest" } }),
      encodeAnswer({ case: "report", value: { number: 1, route: [HOST], passedMax: 1 } }),
    ];
    const bent = fc
      .record({
        base: fc.constantFrom(...sound),
        bend: fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      })
      .map(({ base, bend }) => {
        const bytes = Uint8Array.from(base);
        for (const [at, byte] of bend) bytes[at % bytes.length] = byte;
        return bytes;
      });
    let answered = 0;
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 200 }), bent), async (bytes) => {
        const guest = new GuestSession({ self: "G", agentId: "guest", via: [], hopsMax: 3 });
        const candidate = { peer: "H", agentId: "h", linked: true, route: [], loadPercent: 0 };
        const asked = guest.step({ kind: "connect", candidates: [candidate], nowMs: 0 });
        const attempt = asked.find((effect) => effect.kind === "ask")?.attempt ?? 0;
        guest.step({ kind: "answered", attempt, bytes, nowMs: 0 });
        if (decodeRequest(bytes)?.case === "poll") return;
        try {
          await Promise.all([under.host.requests.answer(GUEST, bytes), under.clock.advance(10)]);
          answered++;
        } catch (error) {
          if (!(error instanceof Refused)) throw error;
          refused++;
        }
      }),
      { numRuns: 2_000 },
    );
    t.ok(answered > 0 && refused > 0, `${answered} answered, ${refused} refused`);
  },
);
