// Messages to a peer over a way that loses, repeats and breaks.
import * as fc from "fast-check";
import t from "tap";
import type { Envelope } from "../../src/mesh/messaging/envelope.ts";
import { Inbox } from "../../src/mesh/messaging/inbox.ts";
import { EARLY, OutboxToPeer } from "../../src/mesh/messaging/outbox-to-peer.ts";
import { NetworkError } from "../../src/platform/network.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { VirtualClock } from "../../src/simulator/virtual-clock.ts";

const HOUR_MS = 3_600_000;

/** What becomes of one delivery. */
type Fate = "works" | "lost" | "answer-lost" | "slow";

/** A peer behind a way whose moods are given; when they run out it works. */
function peerBehind(clock: VirtualClock, fates: Fate[], linkFails: boolean[]) {
  const inbox = new Inbox();
  const taken: string[] = [];
  const arrive = (envelope: Envelope): void => {
    const verdict = inbox.judge("author", envelope);
    if (verdict === "early") throw new NetworkError("network.refused", "early", { refusal: EARLY });
    if (verdict === "new") taken.push(Buffer.from(envelope.payload).toString());
  };
  const after = (ms: number, work: () => void): Promise<void> =>
    new Promise((resolve, reject) => {
      clock.setTimer("way", ms, () => {
        try {
          work();
          resolve();
        } catch (error) {
          reject(error);
        }
      });
    });
  const broken = (): never => {
    throw new NetworkError("network.closed", "the way broke");
  };
  return {
    taken,
    link: () => after(5, () => (linkFails.shift() === true ? broken() : undefined)),
    async deliver(envelope: Envelope): Promise<void> {
      const fate = fates.shift() ?? "works";
      if (fate === "lost") await after(10, broken);
      await after(fate === "slow" ? 400 : 10, () => arrive(envelope));
      if (fate === "answer-lost") await after(10, broken);
    },
  };
}

t.test("each message arrives once and in order, whatever breaks", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom<Fate>("works", "lost", "answer-lost", "slow"), { maxLength: 60 }),
      fc.array(fc.boolean(), { maxLength: 10 }),
      fc.array(fc.nat({ max: 300 }), { minLength: 1, maxLength: 40 }),
      fc.integer(),
      async (fates, linkFails, gapsMs, seed) => {
        const clock = new VirtualClock();
        const way = peerBehind(clock, [...fates], [...linkFails]);
        const outbox = new OutboxToPeer({
          clock,
          random: new SeededRandom(seed),
          epoch: 1,
          firstSequence: 1,
          queueBytesMax: 1_000_000,
          ...way,
        });
        let acknowledged = 0;
        for (const [at, gapMs] of gapsMs.entries()) {
          void outbox.send(Buffer.from(String(at)), HOUR_MS).then(() => acknowledged++);
          await clock.advance(gapMs);
        }
        await clock.advance(HOUR_MS / 2);
        const wanted = gapsMs.map((_, at) => String(at)).join();
        if (way.taken.join() !== wanted) throw new Error(`taken: ${way.taken.join()}`);
        if (acknowledged !== gapsMs.length) throw new Error(`${acknowledged} acknowledged`);
        if (!outbox.idle) throw new Error("something still waits");
      },
    ),
    { numRuns: 300 },
  );
});

t.test(
  "what is not acknowledged in time fails, and does not hold up what comes after",
  async (t) => {
    const clock = new VirtualClock();
    let reachable = false;
    const way = peerBehind(clock, [], []);
    const outbox = new OutboxToPeer({
      clock,
      random: new SeededRandom(1),
      epoch: 1,
      firstSequence: 1,
      queueBytesMax: 1_000,
      link: () =>
        reachable
          ? Promise.resolve()
          : Promise.reject(new NetworkError("network.unreachable", "nobody there")),
      deliver: (envelope) => way.deliver(envelope),
    });
    const outcomes: string[] = [];
    const note = (name: string, sent: Promise<void>): void =>
      void sent.then(
        () => outcomes.push(`${name} taken`),
        (error: NetworkError) => outcomes.push(`${name} ${error.code}`),
      );
    note("first", outbox.send(Buffer.from("first"), 2_000));
    note("second", outbox.send(Buffer.from("second"), 60_000));
    note("too much", outbox.send(Buffer.alloc(1_000), 60_000));
    await clock.advance(5_000);
    reachable = true;
    await clock.advance(60_000);
    t.strictSame(outcomes, [
      "too much network.queue-full",
      "first network.timeout",
      "second taken",
    ]);
    t.strictSame(way.taken, ["second"]);
    note("third", outbox.send(Buffer.from("third"), 1_000));
    outbox.close(new NetworkError("network.closed", "stopped"));
    await clock.advance(1);
    t.equal(outcomes.at(-1), "third network.closed");
  },
);

t.test("the same author after a restart begins anew; what it sent before is a copy", async (t) => {
  const inbox = new Inbox();
  const message = (epoch: number, sequence: number, oldest: number): Envelope => ({
    epoch,
    sequence,
    oldest,
    payload: new Uint8Array(0),
  });
  t.equal(inbox.judge("a", message(1, 1, 1)), "new");
  t.equal(inbox.judge("a", message(1, 3, 1)), "early");
  t.equal(inbox.judge("a", message(1, 2, 1)), "new");
  t.equal(inbox.judge("a", message(1, 2, 1)), "copy");
  t.equal(inbox.judge("a", message(1, 9, 9)), "new", "nothing older will come");
  t.equal(inbox.judge("a", message(2, 1, 1)), "new");
  t.equal(inbox.judge("a", message(1, 10, 10)), "copy", "of an earlier start");
  t.equal(inbox.judge("b", message(1, 1, 1)), "new", "authors are apart");
});
