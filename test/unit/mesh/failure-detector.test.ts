import t from "tap";
import {
  type DetectorHost,
  FailureDetector,
} from "../../../src/mesh/membership/failure-detector.ts";
import { defaultMembershipOptions } from "../../../src/mesh/membership/options.ts";
import { SeededRandom } from "../../../src/platform/seeded-random.ts";
import { ProbeOutcome } from "../../../src/wire/agent_mesh/v1/membership_pb.ts";

const { pace } = defaultMembershipOptions;
const STEP_MS = 10;

/** Agents that are all linked to each other, and whose words arrive at once. */
class Clique {
  readonly #detectors = new Map<string, FailureDetector>();
  readonly #dead = new Set<string>();
  /** Who probed whom, and when. */
  readonly probes: { readonly by: string; readonly of: string; readonly atMs: number }[] = [];
  readonly failures: { readonly by: string; readonly of: string; readonly atMs: number }[] = [];
  readonly #calm: boolean;
  nowMs = 0;

  constructor(names: readonly string[], calm: boolean) {
    this.#calm = calm;
    for (const name of names)
      this.#detectors.set(name, new FailureDetector(new SeededRandom(`detector/${name}`), 3));
    for (const [name, detector] of this.#detectors)
      for (const other of names) if (other !== name) detector.linkUp(other, 0, pace);
  }

  kill(name: string): void {
    this.#dead.add(name);
  }

  run(durationMs: number): void {
    for (const untilMs = this.nowMs + durationMs; this.nowMs < untilMs; this.nowMs += STEP_MS)
      for (const [name, detector] of this.#detectors)
        if (!this.#dead.has(name) && detector.nextAtMs <= this.nowMs)
          detector.tick(this.nowMs, pace, this.#host(name));
  }

  #host(self: string): DetectorHost {
    return {
      calm: this.#calm,
      send: (to, body) => {
        const other = this.#detectors.get(to);
        if (other === undefined || body.case !== "probe") return;
        const { nonce } = body.value;
        this.probes.push({ by: self, of: to, atMs: this.nowMs });
        if (this.#dead.has(to)) return;
        other.probed(self, this.nowMs, pace, this.#host(to));
        this.#detectors.get(self)?.answered(to, nonce, ProbeOutcome.REACHED, this.#host(self));
      },
      failed: (of) => this.failures.push({ by: self, of, atMs: this.nowMs }),
      reachedByOthers: () => undefined,
    };
  }
}

/** A host in calm times that notes to whom something is sent. */
function listener(): { readonly sent: string[]; readonly host: DetectorHost } {
  const sent: string[] = [];
  const host: DetectorHost = {
    calm: true,
    send: (to) => sent.push(to),
    failed: () => undefined,
    reachedByOthers: () => undefined,
  };
  return { sent, host };
}

t.test(
  "of two neighbours, who are well, one probe a round is enough, and they take turns",
  async (t) => {
    const clique = new Clique(["a", "b"], true);
    clique.run(100 * pace.probeIntervalMs);
    const byA = clique.probes.filter(({ by }) => by === "a").length;
    const byB = clique.probes.length - byA;
    t.ok(
      clique.probes.length >= 100 && clique.probes.length <= 150,
      `${clique.probes.length} probes`,
    );
    t.ok(byA > 30 && byB > 30, `${byA} of the one, ${byB} of the other`);
  },
);

t.test("where somebody is suspected each looks for itself", async (t) => {
  const clique = new Clique(["a", "b"], false);
  clique.run(100 * pace.probeIntervalMs);
  for (const one of ["a", "b"]) {
    const own = clique.probes.filter(({ by }) => by === one).length;
    t.ok(own >= 90 && own <= 112, `${own} probes`);
  }
});

t.test("whoever dies is missed by every neighbour within a round and its patience", async (t) => {
  const names = ["a", "b", "c", "d", "e", "f"];
  const roundMs = pace.probeIntervalMs * (names.length - 1);
  for (let at = 0; at < 20; at++) {
    const clique = new Clique(names, true);
    clique.run(4 * roundMs + at * 777);
    t.same(clique.failures, [], "nobody is missed before");
    clique.kill("c");
    const diedMs = clique.nowMs;
    clique.run(roundMs + 2 * pace.probeTimeoutMs + STEP_MS);
    const missing = new Set(clique.failures.map(({ by }) => by));
    t.same([...missing].sort(), ["a", "b", "d", "e", "f"]);
    t.ok(clique.failures.every(({ of }) => of === "c"));
    t.ok(clique.failures.every(({ atMs }) => atMs >= diedMs + 2 * pace.probeTimeoutMs - STEP_MS));
  }
});

t.test("a slow agent looks for itself, so that it finds out that it is well again", async (t) => {
  const slow = new FailureDetector(new SeededRandom("slow"), 3);
  const { sent, host } = listener();
  slow.linkUp("b", 0, pace);
  slow.accused();
  t.equal(slow.localHealth, 1);
  for (let nowMs = 0; nowMs < 3 * pace.probeIntervalMs; nowMs += 100) {
    slow.probed("b", nowMs, pace, host);
    slow.tick(nowMs, pace, host);
  }
  t.ok(sent.includes("b"), "though it is probed all the time");
});

t.test("what is due soon is done when something else wakes the agent, and not again", async (t) => {
  const detector = new FailureDetector(new SeededRandom("awake"), 3);
  const { sent, host } = listener();
  detector.linkUp("b", 0, pace);
  const dueAtMs = detector.nextAtMs;
  detector.awake(dueAtMs - pace.probeIntervalMs / 4, pace, () => host);
  t.same(sent, [], "that is too long before");
  detector.awake(dueAtMs - pace.probeIntervalMs / 20, pace, () => host);
  t.same(sent, ["b"]);
  detector.tick(dueAtMs, pace, host);
  t.same(sent, ["b"]);
});
