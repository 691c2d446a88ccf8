// Groups of four and of seven, up to f of them liars, on a network that does what it likes, with crashes that lose what was
// not synced: the invariants hold after every event, and once all is well again every request is executed and answered.
import * as fc from "fast-check";
import t from "tap";
import { signerCredentials } from "../../src/consensus/pbft/credentials.ts";
import { decodeMessage, messageBytesMax } from "../../src/consensus/pbft/messages.ts";
import { PbftReplica } from "../../src/consensus/pbft/replica.ts";
import { nodeHasher } from "../../src/platform/node/hasher.ts";
import { Cluster } from "../support/pbft/cluster.ts";
import { LIES, type Lie } from "../support/pbft/liar.ts";
import { membersOf } from "../support/pbft/members.ts";
import { PbftWorld } from "../support/pbft/pbft-world.ts";
import { smallOptions } from "../support/pbft/small-options.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed, numRuns: Number(process.env["FC_RUNS"] ?? 80) });

/** After the network is well again: enough for timeouts that had doubled to their bound, several times. */
const RECOVERY_MS = 120_000;

const event = fc.record({
  kind: fc.constantFrom("crash", "start", "partition", "join", "nothing"),
  who: fc.nat({ max: 100 }),
  waitMs: fc.integer({ min: 1, max: 2_500 }),
});

const scenario = fc.record({
  seed: fc.nat(),
  size: fc.constantFrom(4, 7),
  lies: fc.array(fc.tuple(fc.nat({ max: 6 }), fc.constantFrom<Lie>(...LIES)), { maxLength: 2 }),
  lossPercent: fc.integer({ min: 0, max: 30 }),
  duplicatesPercent: fc.integer({ min: 0, max: 20 }),
  delayMaxMs: fc.integer({ min: 1, max: 300 }),
  syncMaxMs: fc.integer({ min: 1, max: 100 }),
  clients: fc.integer({ min: 1, max: 6 }),
  requests: fc.integer({ min: 1, max: 12 }),
  /** Replicas that suspect each other all the time: most that can go wrong goes wrong between views. */
  progressTimeoutMs: fc.constantFrom(60, 1_000),
  events: fc.array(event, { maxLength: 12 }),
});

t.test("agreement always, and progress once all is well", async (t) => {
  let executed = 0;
  fc.assert(
    fc.property(
      scenario,
      ({ seed, size, lies, events, lossPercent, duplicatesPercent, ...rest }) => {
        const faultyMax = (size - 1) / 3;
        const liars = new Map(
          lies.slice(0, faultyMax).map(([index, lie]) => [index % size, lie] as const),
        );
        const { clients, requests, delayMaxMs, syncMaxMs, progressTimeoutMs } = rest;
        const weather = {
          loss: lossPercent / 100,
          duplicates: duplicatesPercent / 100,
          delayMaxMs,
          syncMaxMs,
        };
        const world = new PbftWorld({
          seed,
          size,
          liars,
          clients,
          requests,
          weather,
          options: { progressTimeoutMs },
        });
        for (const { kind, who, waitMs } of events) {
          const index = who % size;
          if (kind === "crash" && world.isUp(index)) world.crash(index);
          if (kind === "start" && !world.isUp(index)) world.start(index);
          if (kind === "partition") world.partition((at) => (who >> at) & 1);
          if (kind === "join") world.partition(() => 0);
          world.run(waitMs);
        }
        world.heal();
        world.run(RECOVERY_MS, () => world.isDone);
        if (!world.isDone) throw new Error(`requests were not executed: ${world.describe()}`);
        world.run(RECOVERY_MS, () => world.isAgreed());
        if (!world.isAgreed()) throw new Error(`somebody stays behind: ${world.describe()}`);
        executed += world.invariants.executedCount;
      },
    ),
  );
  t.comment(`${executed} requests executed`);
  t.ok(executed > 0);
});

t.test("whatever bytes come in: no throw, and nothing said that is too large", async () => {
  const cluster = new Cluster();
  const recorded: Uint8Array[] = [];
  for (let timestamp = 1; timestamp <= 6; timestamp++) {
    cluster.ask(cluster.request("client", timestamp), [0]);
    cluster.deliver((mail) => recorded.push(mail.bytes) > 0);
  }
  cluster.fire("resend");
  cluster.ask(cluster.request("client", 7), [1]);
  cluster.mail = [];
  cluster.fire("progress", [1, 2, 3]);
  cluster.deliver((mail) => recorded.push(mail.bytes) > 0);
  const members = membersOf(4);
  const { group } = members;
  const bytesMax = messageBytesMax(smallOptions, group);
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.constantFrom(...recorded),
    fc
      .tuple(fc.constantFrom(...recorded), fc.nat(), fc.nat({ max: 255 }), fc.nat())
      .map(([message, at, value, cut]) => {
        const changed = message.slice(0, 1 + (cut % (2 * message.length)));
        changed[at % changed.length] = value;
        return changed;
      }),
  );
  const input = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant("message" as const),
        from: fc.constantFrom(...group.members, "stranger"),
        bytes,
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("request" as const), bytes }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("timer" as const),
        timer: fc.constantFrom("progress" as const, "new-view" as const, "resend" as const),
      }),
    },
  );
  fc.assert(
    fc.property(fc.nat({ max: 3 }), fc.array(input, { maxLength: 60 }), (self, inputs) => {
      const replica = new PbftReplica({
        group,
        credentials: signerCredentials(members.signers[self]!),
        hasher: nodeHasher,
        options: smallOptions,
        kept: [],
      });
      replica.start();
      for (const one of inputs) {
        const effects = replica.step(one);
        for (const { bytes } of effects.send)
          if (decodeMessage(bytes, bytesMax, group.size) === undefined) return false;
        if (effects.execute === undefined) continue;
        const { sequence, requests, wantsState } = effects.execute;
        const results = requests.map(() => new Uint8Array(1));
        replica.step({
          kind: "executed",
          sequence,
          results,
          ...(wantsState && { state: new Uint8Array(1) }),
        });
      }
      return replica.waitingCount <= smallOptions.waitingMax;
    }),
  );
});
