import type { Test } from "tap";
import type { Agreement } from "../../src/consensus/agreement/agreement.ts";
import { faultOfCertificate } from "../../src/consensus/agreement/certificate.ts";
import { type Decision, isFinished } from "../../src/consensus/agreement/decision.ts";
import type { Random } from "../../src/platform/random.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { AgreementWorld, type OrderingUnderTest } from "../support/agreement/agreement-world.ts";

const STEPS = 60;
const ALL = Number.MAX_SAFE_INTEGER;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/**
 * Members that crash, lose power alone and together, and are cut off, with judges that change their minds: all that is
 * proposed is decided alike, what was accepted is certified, and nobody who is honest is proven to lie.
 * @param founders enough for one to be missing
 */
export function agreementUnderFaults(
  t: Test,
  name: string,
  founders: number,
  make: () => OrderingUnderTest,
  seeds: readonly string[],
): void {
  for (const seed of seeds)
    t.test(`${name}: faults of seed ${seed}`, async (t) => {
      const random = new SeededRandom(`${name}/faults/${seed}`);
      const world = new AgreementWorld(make(), seed, founders);
      await world.found((agreement) => fickle(agreement, random.fork(`${random.next()}`)));
      const fate = new Fate(world, random);
      for (let step = 0; step < STEPS; step++) {
        await fate.next(`${step}`);
        await world.run(Math.floor(random.next() * 400));
      }
      await fate.heal();
      const last = await world.wait(
        world.at("a").propose(bytes("the last one"), { topic: "end", deadlineMs: 1_000 }),
      );
      await world.wait(world.at("a").finalize(last.id));
      const decisionsOf = (each: string): readonly Decision[] => world.at(each).decisions(0, ALL);
      await world.until("all is decided everywhere", () => {
        const { length } = decisionsOf("a");
        return world.running.every(
          (each) =>
            world.at(each).proposals().length === 0 &&
            decisionsOf(each).length === length &&
            decisionsOf(each).every(isFinished),
        );
      });
      const decisions = decisionsOf("a");
      t.ok(decisions.length > 1);
      for (const each of world.running) {
        t.same(decisionsOf(each).map(outline), decisions.map(outline));
        t.same(world.at(each).evidence(), []);
      }
      const { group, protocol } = world;
      const authority = { group, protocol, list: world.at("a").members() };
      for (const { certificate } of decisions)
        if (certificate !== undefined)
          t.equal(faultOfCertificate(certificate, authority, world.signer("reader")), undefined);
      await world.close();
    });
}

/** A judge that votes by chance, and after a restart by another one. */
function fickle(agreement: Agreement, random: Random): void {
  agreement.judge("notes", () => {
    const chance = random.next();
    if (chance < 0.75) return "accept";
    return chance < 0.9 ? { reject: "no" } : "abstain";
  });
}

function outline({ number, proposalId, outcome, digest, reasons }: Decision): string {
  return [number, proposalId, outcome, digest, ...reasons].join(" ");
}

/** What happens to a world by chance; one member at most is missing, unless all lose power. */
class Fate {
  readonly #world: AgreementWorld;
  readonly #random: Random;
  #down: string | undefined;
  #isCut = false;

  constructor(world: AgreementWorld, random: Random) {
    this.#world = world;
    this.#random = random;
  }

  async next(value: string): Promise<void> {
    const world = this.#world;
    const chance = this.#random.next();
    const isWhole = this.#down === undefined && !this.#isCut;
    if (chance < 0.55) this.#propose(value);
    else if (chance < 0.7 && isWhole) {
      this.#down = this.#any();
      world.crash(this.#down, this.#random.next() < 0.7);
    } else if (chance < 0.8 && this.#down !== undefined) {
      await world.start(this.#down);
      this.#down = undefined;
    } else if (chance < 0.85 && isWhole) {
      this.#isCut = true;
      world.cutOff(this.#any());
    } else if (chance < 0.9) {
      this.#isCut = false;
      world.cutOff();
    } else if (chance < 0.94 && this.#down === undefined) await this.#blackout();
  }

  /** Everybody is there again. */
  async heal(): Promise<void> {
    this.#world.cutOff();
    if (this.#down !== undefined) await this.#world.start(this.#down);
  }

  #propose(value: string): void {
    const agreement = this.#world.at(this.#any());
    const deadlineMs = 1_000 + Math.floor(this.#random.next() * 4_000);
    const isCancelled = this.#random.next() < 0.1;
    const proposing = agreement.propose(bytes(value), { topic: "notes", deadlineMs });
    // Whoever proposes may crash meanwhile, and what is decided already can not be cancelled.
    proposing
      .then(({ id }) => (isCancelled ? agreement.cancel(id) : undefined))
      .catch(() => undefined);
  }

  async #blackout(): Promise<void> {
    const all = this.#world.running;
    for (const each of all) this.#world.crash(each, true);
    for (const each of all) await this.#world.start(each);
  }

  #any(): string {
    const { running } = this.#world;
    return running[Math.floor(this.#random.next() * running.length)] ?? "";
  }
}
