import * as fc from "fast-check";
import t from "tap";
import { ContractAgent } from "../../src/coordination/contract-net/agent.ts";
import { defaultDelegationOptions } from "../../src/coordination/contract-net/delegation.ts";
import {
  defaultInitiatorOptions,
  defaultParticipantOptions,
} from "../../src/coordination/contract-net/options.ts";
import {
  defaultReputationOptions,
  Reputation,
} from "../../src/coordination/contract-net/reputation.ts";
import { defaultBidWeights } from "../../src/coordination/contract-net/score.ts";
import { ContractWorld, TASK, TERMS, type Worker } from "../support/coordination/contract-world.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed, numRuns: Number(process.env["FC_RUNS"] ?? 150) });

const NAMES = ["a", "b", "c", "d", "e", "f", "g"];
const worker = (name: string): fc.Arbitrary<Worker> =>
  fc.record({
    name: fc.constant(name),
    skills: fc.subarray(["camera", "gpu"]),
    capacity: fc.integer({ min: 1, max: 3 }),
    estimate: fc.record({
      cost: fc.integer({ min: 0, max: 100 }),
      endsInMs: fc.integer({ min: 0, max: 20_000 }),
    }),
    workMs: fc.integer({ min: 0, max: 15_000 }),
    manner: fc.constantFrom("does" as const, "does" as const, "fails" as const, "hangs" as const),
    knows: fc.subarray(NAMES.filter((other) => other !== name)),
  });

const event = fc.record({
  kind: fc.constantFrom("submit", "submit", "submit", "cancel", "crash", "restart"),
  who: fc.constantFrom(...NAMES),
  needs: fc.subarray(["camera", "gpu"]),
  demand: fc.integer({ min: 1, max: 3 }),
  agentsMin: fc.integer({ min: 1, max: 3 }),
  more: fc.integer({ min: 0, max: 3 }),
  expiresInMs: fc.integer({ min: 2_001, max: 60_000 }),
  told: fc.boolean(),
  waitMs: fc.nat({ max: 8_000 }),
});

t.test(
  "whatever is lost, doubled, late or crashes: every call ends in time, once, as it says",
  async () => {
    fc.assert(
      fc.property(
        fc.tuple(...NAMES.map(worker)),
        fc.array(event, { minLength: 1, maxLength: 25 }),
        fc.record({
          seed: fc.string({ maxLength: 4 }),
          loss: fc.constantFrom(0, 0.1, 0.3),
          doubled: fc.constantFrom(0, 0.3),
          delayMs: fc.constantFrom([5, 50] as const, [0, 3_000] as const),
        }),
        (workers, events, links) => {
          const world = new ContractWorld(links, workers);
          const crashed = new Set<string>();
          for (const { kind, who, needs, demand, agentsMin, more, ...rest } of events) {
            const { expiresInMs } = rest;
            const terms = { agentsMin, agentsMax: agentsMin + more, expiresInMs };
            if (kind === "submit") world.submit(who, { needs, demand }, terms);
            if (kind === "crash") {
              world.crash(who, rest.told);
              for (const { by, endedAtMs, call } of world.followed)
                if (by === who && endedAtMs === undefined) crashed.add(`${by}/${call}`);
            }
            if (kind === "restart") world.restart(who);
            const latest = world.followed.at(-1);
            if (kind === "cancel" && latest !== undefined)
              world.input(latest.by, { kind: "cancel", call: latest.call });
            world.run(rest.waitMs);
          }
          world.run(120_000);
          if (world.violations.length > 0) throw new Error(world.violations.join("; "));
          for (const followed of world.followed) {
            const { by, call, atMs, endedAtMs, terms, changes } = followed;
            if (crashed.has(`${by}/${call}`)) continue;
            const outcome = world.outcome(followed);
            if (outcome === undefined || endedAtMs === undefined)
              throw new Error(`${call} is lost`);
            if (endedAtMs > atMs + terms.expiresInMs) throw new Error(`${call} ended too late`);
            const told = changes.filter(({ kind }) => kind === "result").length;
            const peers = new Set(outcome.results.map(({ peer }) => peer));
            if (told !== outcome.results.length) throw new Error(`${call} told of ${told}`);
            if (peers.size !== told || told > terms.agentsMax)
              throw new Error(`${call} done twice`);
            if (outcome.fault === undefined && told < terms.agentsMin)
              throw new Error(`${call} short`);
          }
          // Nothing is promised for ever.
          return NAMES.every((name) => !world.isUp(name) || world.agent(name).load().taken === 0);
        },
      ),
    );
  },
);

t.test(
  "where nothing is lost and all do what they say, a task that somebody can do is done",
  async () => {
    fc.assert(
      fc.property(
        fc.tuple(...NAMES.map(worker)),
        fc.array(fc.tuple(fc.constantFrom(...NAMES), fc.nat({ max: 3_000 })), { maxLength: 20 }),
        fc.string({ maxLength: 4 }),
        (workers, submits, seed) => {
          const honest = workers.map((worker) => ({
            ...worker,
            knows: undefined,
            manner: "does" as const,
          }));
          // Room for all at once, so that nobody has to be refused.
          const world = new ContractWorld({ seed, delegation: { delegatedMax: 0 } }, [
            ...honest,
            { name: "able", skills: ["camera", "gpu"], capacity: 100, workMs: 500 },
          ]);
          for (const [who, waitMs] of submits) {
            world.submit(who, { needs: ["camera", "gpu"] });
            world.run(waitMs);
          }
          world.run(60_000);
          return world.followed.every((one) => world.outcome(one)?.results.length === 1);
        },
      ),
    );
  },
);

const text = fc.oneof(fc.string({ maxLength: 8 }), fc.constant("x".repeat(20_000)));
const number = fc.oneof(fc.double(), fc.integer(), fc.constant(Number.NaN));
const value = fc.oneof(
  fc.anything(),
  fc.record(
    {
      kind: fc.constantFrom(
        "announce",
        "award",
        "reject",
        "cancel",
        "settle",
        "bid",
        "refuse",
        "accept",
        "progress",
        "result",
        "failure",
      ),
      call: fc.oneof(fc.constantFrom("1-1", "1-2", "c1", "c2"), text),
      task: fc.oneof(
        fc.constant(TASK),
        fc.record({ name: text, kind: text, input: text, needs: fc.array(text), demand: number }),
      ),
      route: fc.oneof(
        fc
          .constantFrom("b", "c")
          .map((from) => ({ root: `${from}/c1`, path: [from], hopsLeft: 2 })),
        fc.record({ root: text, path: fc.array(text), hopsLeft: number }),
      ),
      bidWithinMs: fc.oneof(fc.constant(100), number),
      holdMs: fc.oneof(fc.constant(100), number),
      expiresInMs: fc.oneof(fc.constant(1_000), number),
      cost: fc.oneof(fc.constant(1), number),
      endsInMs: fc.oneof(fc.constant(10), number),
      percent: number,
      output: text,
      reason: fc.oneof(fc.constantFrom("failed", "not-able"), text),
    },
    { requiredKeys: ["kind", "call"] },
  ),
);

t.test(
  "whatever peers say: no throw, no more kept than there is room for, one word at most in answer to one",
  async () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            from: fc.constantFrom("b", "c", "stranger", "self"),
            value,
            waitMs: fc.nat({ max: 400 }),
          }),
          { maxLength: 80 },
        ),
        (words) => {
          const agent = new ContractAgent({
            self: "self",
            epoch: 1,
            initiator: defaultInitiatorOptions,
            participant: { ...defaultParticipantOptions, openMax: 4, closedMax: 4 },
            delegation: defaultDelegationOptions,
            weights: defaultBidWeights,
            reputation: new Reputation(defaultReputationOptions),
            hasSkill: () => false,
            appraise: () => ({ cost: 1, endsInMs: 1 }),
            neighbours: () => ["b", "c"],
            isMember: (peer) => peer === "b" || peer === "c",
          });
          let nowMs = 0;
          agent.step({ kind: "submit", task: { ...TASK, needs: ["x"] }, terms: TERMS, nowMs });
          for (const { from, value, waitMs } of words) {
            nowMs += waitMs;
            agent.step({ kind: "tick", nowMs });
            const effects = agent.step({ kind: "message", from, value, nowMs });
            if (!(effects.nextTickAtMs >= nowMs)) return false;
            if (from === "stranger" || from === "self") {
              if (effects.offences[0]?.kind !== "not-a-member" || effects.send.length > 0)
                return false;
            }
            // Passing a task on, and the end of a bidding, are said to all neighbours.
            if (effects.send.length > 4) return false;
            const { contracts, taken } = agent.load();
            if (contracts > 4 || taken > defaultParticipantOptions.capacity) return false;
          }
          return true;
        },
      ),
      { numRuns: 400 },
    );
  },
);
