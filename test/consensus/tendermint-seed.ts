import { SeededRandom } from "../../src/platform/seeded-random.ts";
import type { PeerId } from "../../src/platform/signer.ts";
import {
  commandOf,
  drawInput,
  History,
  outputOf,
  Registers,
} from "../support/consensus/registers.ts";
import type { LiarManner } from "../support/tendermint/liar.ts";
import { TendermintWorld } from "../support/tendermint/world.ts";
import type { Running } from "./seed.ts";

/** Liars come last, with less than 1/3 of the power at all times. */
const COMMITTEES: readonly { readonly powers: readonly number[]; readonly liars: number }[] = [
  { powers: [1, 1, 1, 1], liars: 1 },
  { powers: [1, 1, 1, 1], liars: 0 },
  { powers: [5, 3, 4, 5], liars: 1 },
  { powers: [10, 7, 9, 12], liars: 1 },
  { powers: [3, 2, 2, 3, 2], liars: 1 },
  { powers: [2, 2, 2, 2, 2, 2], liars: 1 },
  { powers: [1, 1, 1, 1, 1, 1, 1], liars: 2 },
  { powers: [9, 4, 7, 3, 8, 5, 10], liars: 2 },
];
const MANNERS: readonly LiarManner[] = ["silent", "equivocating", "lying", "replaying", "all"];
const HEIGHTS_AFTER = 2;
const EVENTS_MAX = 400_000;
/** What one value holds. */
const COMMANDS_MAX = 5;

interface Waiting {
  readonly command: string;
  /** It has the answer. */
  readonly answered: (answer: string) => void;
}

/** Clients that put one command at a time before everybody, and take the word of the first site that has decided. */
class Clients {
  readonly history = new History();
  readonly #random: SeededRandom;
  readonly #waiting = new Map<string, Waiting>();
  readonly #sites = new Map<
    PeerId,
    { readonly registers: Registers; readonly done: Set<string>; height: number }
  >();
  #left: number;

  constructor(random: SeededRandom, clients: number, commands: number) {
    this.#random = random;
    this.#left = clients * commands;
    for (let client = 0; client < clients; client++) this.#next(String(client), 0);
  }

  /** Some of what waits; it ends with `;` so that a value that is cut has no half of one. */
  content(): string {
    const waiting = [...this.#waiting].filter(() => this.#random.next() < 0.7);
    return waiting
      .slice(0, COMMANDS_MAX)
      .map(([name, { command }]) => `|${name}:${command};`)
      .join("");
  }

  decided(site: PeerId, height: number, value: Uint8Array): void {
    let host = this.#sites.get(site);
    if (host === undefined) {
      host = { registers: new Registers(), done: new Set(), height: 0 };
      this.#sites.set(site, host);
    }
    if (height <= host.height) return;
    if (height !== host.height + 1)
      throw new Error(`order: ${site} decides ${height} after ${host.height}`);
    host.height = height;
    const text = Buffer.from(value).toString("latin1");
    for (const [, name = "", command = ""] of text.matchAll(/\|([^:;|]+):([^;|]+);/g)) {
      if (host.done.has(name)) continue;
      host.done.add(name);
      const answer = host.registers.apply(command);
      const waiting = this.#waiting.get(name);
      this.#waiting.delete(name);
      waiting?.answered(answer);
    }
  }

  #next(client: string, count: number): void {
    if (this.#left <= 0) return;
    this.#left--;
    const name = `${client}.${count}`;
    const input = drawInput(this.#random, name);
    this.history.called(name, input);
    this.#waiting.set(name, {
      command: commandOf(input),
      answered: (answer) => {
        this.history.answered(name, outputOf(answer));
        this.#next(client, count + 1);
      },
    });
  }
}

/** Four to seven validators, some of which lie, and clients of some registers. @throws Error for what is broken */
export function tendermintSeed(running: Running): void {
  const { seed, faults, limits } = running;
  const random = new SeededRandom(`tendermint/${seed}`);
  const below = (count: number): number => Math.floor(random.next() * count);
  const committee = COMMITTEES[below(COMMITTEES.length)] ?? { powers: [1, 1, 1, 1], liars: 1 };
  const { powers } = committee;
  const manner = MANNERS[below(MANNERS.length)] ?? "all";
  const clients = new Clients(random, 2 + below(4), 2 + below(5));
  const world = new TendermintWorld({
    seed: `tendermint/${seed}/world`,
    powers,
    liars: committee.liars,
    manner: limits.without.has("lie") ? "silent" : manner,
    dropRate: [0, 0.05, 0.2, 0.5][below(4)] ?? 0,
    crashes: random.next() < 0.7,
    partitions: random.next() < 0.7,
    faults,
    writeFailures: random.next() < 0.3 ? 0.05 : 0,
    skews: powers.map(() => (random.next() < 0.3 ? 0.5 + random.next() : 1)),
    slowness: powers.map(() => (random.next() < 0.1 ? 20 + below(100) : 0)),
    content: () => clients.content(),
    decided: (site, height, value) => clients.decided(site, height, value),
  });
  try {
    world.runFor(limits.length * (300 + below(2_200)));
    const before = world.decidedByAny;
    const roundMax = world.roundMax + world.roundsOfAllTurns;
    world.heal(() => world.decidedByAll >= before + HEIGHTS_AFTER, EVENTS_MAX);
    for (const [height, { round }] of world.invariants.decisions)
      if (height > before && round > roundMax)
        throw new Error(`liveness: height ${height} took until round ${round}`);
    running.check(clients.history);
  } finally {
    running.events += world.events;
    running.decided += world.decidedByAny;
  }
}
