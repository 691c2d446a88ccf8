// Roles on the real membership: what it takes for dead or living is what roles follow.
import t from "tap";
import type { RoleInput } from "../../src/coordination/roles/effects.ts";
import { RoleNegotiation } from "../../src/coordination/roles/negotiation.ts";
import { defaultRoleOptions } from "../../src/coordination/roles/options.ts";
import { CachingVerifier } from "../../src/mesh/records/record-verifier.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import type { PeerId } from "../../src/platform/signer.ts";
import { PowerSupply } from "../../src/wire/agent_mesh/v1/record_pb.ts";
import { grown, type Sighting, type World } from "./membership-world.ts";
import { nameOf } from "./roles-world.ts";

const seed = process.env["SIM_SEED"] ?? String(Math.floor(Math.random() * 2 ** 31));
t.comment(`seed ${seed} (SIM_SEED=${seed} repeats it)`);
t.setTimeout(400_000);

type Untimed = RoleInput extends infer I ? (I extends unknown ? Omit<I, "nowMs"> : never) : never;

const STEP_MS = 20;

/** The negotiations of a world of memberships, each step of which takes as long as a message. */
class Roles {
  readonly offences: unknown[] = [];
  readonly world: World;
  readonly #verifier: CachingVerifier;
  readonly #agents = new Map<
    number,
    { core: RoleNegotiation; links: Set<PeerId>; tickAtMs: number }
  >();
  readonly #sightings: Sighting[] = [];
  #mail: { readonly from: number; readonly to: PeerId; readonly bytes: Uint8Array }[] = [];
  #side: (index: number) => number = () => 0;

  constructor(size: number) {
    this.world = grown(
      {
        seed: `${seed}/${size}`,
        loss: 0.02,
        onChange: (sighting) => this.#sightings.push(sighting),
      },
      size,
    );
    this.#verifier = new CachingVerifier(this.world.keys.signer("roles"), 10_000);
    for (let index = 0; index < size; index++) this.describe(index, index % 4 !== 3);
    this.world.run(5_000);
    for (const { index } of this.world.running()) this.start(index);
    this.#sightings.length = 0;
  }

  describe(index: number, mains: boolean): void {
    this.world.input(index, {
      kind: "self-changed",
      self: {
        agentId: `agent-${index}`,
        version: "0.1.0",
        addresses: [`/sim/${index}`],
        capabilities: {
          cpuCores: 1 + (index % 5),
          memoryBytes: 2n ** 32n,
          powerSupply: mains ? PowerSupply.MAINS : PowerSupply.BATTERY,
          features: ["roles"],
        },
        health: { status: "ok", powerMode: "normal", ...(!mains && { batteryPercent: 80 }) },
      },
    });
  }

  start(index: number): void {
    const { world } = this;
    const node = world.nodes[index];
    if (node === undefined) return;
    const core = new RoleNegotiation({
      signer: node.signer,
      verifier: this.#verifier,
      random: new SeededRandom(`${seed}/roles/${index}/${node.epoch}`),
      members: {
        self: node.signer.peerId,
        all: () => world.membership(index).members(),
        get: (peer) => world.membership(index).member(peer),
        isPartial: () => false,
      },
      options: defaultRoleOptions,
      startMs: world.nowMs,
    });
    this.#agents.set(index, { core, links: new Set(), tickAtMs: world.nowMs });
  }

  kill(index: number): void {
    this.#agents.delete(index);
    this.world.kill(index);
  }

  partition(side: (index: number) => number): void {
    this.#side = side;
    this.world.partition(side);
  }

  heal(): void {
    this.#side = () => 0;
    this.world.heal();
  }

  run(durationMs: number): void {
    const untilMs = this.world.nowMs + durationMs;
    while (this.world.nowMs < untilMs) {
      this.world.run(STEP_MS);
      for (const { by, change } of this.#sightings.splice(0))
        this.#step(by, { kind: "member", peer: change.peer, change: change.kind });
      for (const [index, agent] of this.#agents) {
        const linked = new Set(this.world.nodes[index]?.links.keys());
        for (const peer of agent.links)
          if (!linked.has(peer)) this.#step(index, { kind: "link-down", peer });
        for (const peer of linked)
          if (!agent.links.has(peer)) this.#step(index, { kind: "link-up", peer });
        agent.links = linked;
        if (agent.tickAtMs <= this.world.nowMs) this.#step(index, { kind: "tick" });
      }
      for (const { from, to, bytes } of this.#mail.splice(0)) {
        const other = this.world.indexOf(to);
        const linked = this.world.nodes[other]?.links.has(this.world.peer(from)) === true;
        if (linked && this.#side(from) === this.#side(other))
          this.#step(other, { kind: "message", from: this.world.peer(from), bytes });
      }
    }
  }

  /** @returns how long it took until every agent of each side went by one assignment, made by one of its own */
  untilAgreed(withinMs: number, sides: readonly number[] = [0]): number {
    const fromMs = this.world.nowMs;
    for (;;) {
      const states = sides.map((side) => this.#state(side));
      if (states.every(({ agreed }) => agreed)) return this.world.nowMs - fromMs;
      if (this.world.nowMs - fromMs > withinMs)
        throw new Error(`not within ${withinMs} ms (seed ${seed}): ${JSON.stringify(states)}`);
      this.run(500);
    }
  }

  coordinators(): number[] {
    return [...this.#agents].flatMap(([index, { core }]) =>
      core.roles.coordination === "coordinator" ? [index] : [],
    );
  }

  term(index: number): number {
    return this.#agents.get(index)?.core.inForce(this.world.nowMs)?.assignment.term ?? 0;
  }

  #state(side: number): { agreed: boolean; names: string[] } {
    const held = [...this.#agents]
      .filter(([index]) => this.#side(index) === side)
      .map(([, { core }]) => core.inForce(this.world.nowMs)?.assignment);
    const names = [...new Set(held.map(nameOf))];
    const [first] = held;
    const maker = first === undefined ? -1 : this.world.indexOf(first.maker);
    const agreed = names.length === 1 && this.#agents.has(maker) && this.#side(maker) === side;
    return { agreed, names };
  }

  #step(index: number, input: Untimed): void {
    const agent = this.#agents.get(index);
    if (agent === undefined) return;
    const effects = agent.core.step({ ...input, nowMs: this.world.nowMs });
    agent.tickAtMs = effects.nextTickAtMs;
    for (const { to, bytes } of effects.send) this.#mail.push({ from: index, to, bytes });
    this.offences.push(...effects.offences);
  }
}

t.test("thirty agents: agreement, a death, a partition", async (t) => {
  const roles = new Roles(30);
  t.comment(`agreed after ${roles.untilAgreed(60_000) / 1_000} s`);
  const [first = -1] = roles.coordinators();
  const before = roles.term(first);
  roles.kill(first);
  t.comment(`another leads after ${roles.untilAgreed(60_000) / 1_000} s`);
  const [second = -1] = roles.coordinators();
  t.not(second, first);
  t.ok(roles.term(second) > before);

  roles.partition((index) => index % 2);
  t.comment(`each half after ${roles.untilAgreed(180_000, [0, 1]) / 1_000} s`);
  t.equal(roles.coordinators().length, 2);
  roles.run(60_000);
  roles.heal();
  t.comment(`together after ${roles.untilAgreed(180_000) / 1_000} s`);
  t.equal(roles.coordinators().length, 1);

  const [third = -1] = roles.coordinators();
  roles.describe(third, false);
  roles.run(100);
  t.same(roles.coordinators(), [], "on battery, and out at once");
  t.comment(`another leads after ${roles.untilAgreed(30_000) / 1_000} s`);
  t.equal(roles.coordinators().length, 1);
  t.same(roles.offences, []);
});
