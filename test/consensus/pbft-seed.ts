import type { Execution, Installation } from "../../src/consensus/pbft/effects.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import {
  commandOf,
  drawInput,
  History,
  outputOf,
  Registers,
} from "../support/consensus/registers.ts";
import type { Application } from "../support/pbft/ledger.ts";
import { LIES, type Lie } from "../support/pbft/liar.ts";
import { PbftWorld } from "../support/pbft/pbft-world.ts";
import type { Running } from "./seed.ts";

/** After the last fault: enough for timeouts that had doubled to their bound, several times. */
const RECOVERY_MS = 120_000;

/** Those that can do most harm come up most. */
const OFTEN: readonly Lie[] = [
  ...LIES,
  "equivocation",
  "equivocation",
  "view-changes",
  "view-changes",
  "mixed",
];

/** Executes requests on registers. Answers carry the place in the order, so that two executions never answer alike. */
class RegisterApplication implements Application {
  readonly #registers = new Registers();
  #count = 0;

  execute({ requests, wantsState }: Execution): { results: Uint8Array[]; state?: Uint8Array } {
    const results = requests.map(({ operation }) => {
      this.#count++;
      const answer = this.#registers.apply(Buffer.from(operation).toString());
      return Buffer.from(`${answer}|${this.#count}`);
    });
    if (!wantsState) return { results };
    return { results, state: Buffer.from(`${this.#count}|${this.#registers.encode()}`) };
  }

  install({ sequence, state }: Installation): void {
    const [count = "0", values = ""] =
      sequence === 0 ? [] : Buffer.from(state).toString().split("|");
    this.#count = Number(count);
    this.#registers.restore(values);
  }
}

/** A group of four to seven, up to f of them liars, and clients of some registers. @throws Error for what is broken */
export function pbftSeed(running: Running): void {
  const { seed, faults, limits } = running;
  const random = new SeededRandom(`pbft/${seed}`);
  const below = (count: number): number => Math.floor(random.next() * count);
  const size = [4, 4, 4, 5, 6, 7][below(6)] ?? 4;
  const liars = new Map<number, Lie>();
  const liarsMax = Math.floor((size - 1) / 3);
  const liarCount = random.next() < 0.2 ? 0 : 1 + below(liarsMax);
  for (let lie = 0; lie < liarCount; lie++) {
    const kind = OFTEN[below(OFTEN.length)] ?? "mixed";
    // Primaries of the first views have most to lie about.
    const index = random.next() < 0.7 ? lie + below(2) : below(size);
    if (faults.happens("lie", true)) liars.set(index, kind);
  }
  const isRough = random.next() < 0.5;
  const history = new History();
  const world = new PbftWorld({
    seed: `pbft/${seed}/world`,
    size,
    liars,
    faults,
    clients: 2 + below(4),
    requests: 2 + below(6),
    weather: {
      loss: random.next() * (isRough ? 0.3 : 0.05),
      duplicates: random.next() * 0.2,
      delayMaxMs: 1 + below(isRough ? 300 : 40),
      syncMaxMs: 1 + below(isRough ? 100 : 10),
      writeFailures: random.next() < 0.3 ? 0.05 : 0,
    },
    options: { progressTimeoutMs: random.next() < 0.3 ? 60 + below(100) : 1_000 },
    skews: Array.from({ length: size }, () => (random.next() < 0.3 ? 0.5 + random.next() : 1)),
    slowness: Array.from({ length: size }, () => (random.next() < 0.1 ? 50 + below(200) : 0)),
    application: () => new RegisterApplication(),
    operation: (client, timestamp) => {
      const input = drawInput(random, `${client}.${timestamp}`);
      history.called(`${client}/${timestamp}`, input);
      return Buffer.from(commandOf(input));
    },
    answered: (client, timestamp, result) => {
      const [answer = ""] = Buffer.from(result).toString().split("|");
      history.answered(`${client}/${timestamp}`, outputOf(answer));
    },
  });
  try {
    const steps = Math.ceil(limits.length * (2 + below(10)));
    for (let step = 0; step < steps; step++) {
      trouble(world, running, below, size);
      world.run(1 + below(1_500));
    }
    world.heal();
    world.run(RECOVERY_MS, () => world.isDone);
    if (!world.isDone) throw new Error(`liveness: requests are not executed: ${world.describe()}`);
    world.run(RECOVERY_MS, () => world.isAgreed());
    if (!world.isAgreed()) throw new Error(`liveness: somebody stays behind: ${world.describe()}`);
    running.check(history);
  } finally {
    running.events += world.events;
    running.decided += world.invariants.decidedCount;
  }
}

function trouble(
  world: PbftWorld,
  { faults }: Running,
  below: (count: number) => number,
  size: number,
): void {
  const draw = below(10);
  const index = below(size);
  const sides = below(2 ** size);
  if (draw < 3) {
    if (world.isUp(index) && faults.happens("crash", true)) world.crash(index);
  } else if (draw < 6) {
    if (!world.isUp(index)) world.start(index);
  } else if (draw === 6) {
    if (faults.happens("partition", true)) world.partition((at) => (sides >> at) & 1);
  } else if (draw === 7) {
    if (faults.happens("one-way-partition", true)) world.silence(new Set([index]));
  } else if (draw === 8) world.partition(() => 0);
}
