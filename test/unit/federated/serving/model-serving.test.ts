import t from "tap";
import type { AlertMessage, ScoreMessage } from "../../../../src/federated/serving/detector.ts";
import {
  ModelServing,
  type ServingParts,
} from "../../../../src/federated/serving/model-serving.ts";
import { decodeVersions, encodeVersions } from "../../../../src/federated/serving/version-book.ts";
import { StreamRecorder } from "../../../../src/federated/streams/stream-recorder.ts";
import { topicMatcher } from "../../../../src/readings/topic-filter.ts";
import { bindingOf, reading } from "../../../support/learning/stream-fixtures.ts";

const hashOf = (round: number) => String(round).padStart(64, "0");
/** A model of a round answers with the window, stretched: the nearer to 1, the better it is. */
const stretch: Readonly<Record<string, number>> = {
  1: 0.9,
  2: 0.95,
  3: 0.2,
  4: 0.99,
  5: Number.NaN,
};

class Device {
  readonly scores: ScoreMessage[] = [];
  readonly alerts: AlertMessage[] = [];
  readonly loaded: number[] = [];
  readonly lost: number[] = [];
  open = 0;
  kept = new Uint8Array();
  isCut = false;
  readonly recorder: StreamRecorder;
  serving: ModelServing;
  #seconds = 0;
  #points: number[] = [];

  constructor() {
    const binding = bindingOf({ windowLength: 4, holdOutShare: 0.5 });
    this.recorder = new StreamRecorder({
      binding,
      topicMatcher,
      onPoint: (atMs) => this.#points.push(atMs),
    });
    this.serving = this.#make({});
  }

  #make(said: Partial<ServingParts>): ModelServing {
    return new ModelServing({
      task: "task-1",
      binding: bindingOf({ windowLength: 4, holdOutShare: 0.5 }),
      recorder: this.recorder,
      detection: {
        quantile: 1,
        margin: 4,
        raiseCount: 1,
        raiseOf: 1,
        clearAfter: 1,
        alertsPerHourMax: 60,
      },
      canary: { shadowWindows: 5, worseShareMax: 0 },
      load: async ({ round }) => {
        if (this.isCut) throw new Error("nobody has it");
        this.loaded.push(round);
        this.open++;
        return {
          predict: async (features) => features.map((value) => value * (stretch[round] ?? 1)),
          dispose: async () => {
            this.open--;
          },
        };
      },
      wallMs: () => this.#seconds * 1_000,
      onLost: ({ round }) => this.lost.push(round),
      onScore: (message) => this.scores.push(message),
      onAlert: (message) => this.alerts.push(message),
      onVersions: (book) => {
        this.kept = new Uint8Array(encodeVersions(book));
      },
      ...said,
    });
  }

  async restart(): Promise<void> {
    await this.serving.close();
    this.serving = this.#make({ versions: decodeVersions(this.kept) });
    await this.serving.start();
  }

  /** A reading each second, and every window judged. */
  async hear(many: number, value = (at: number) => 1 + (at % 2)): Promise<void> {
    for (let at = 0; at < many; at++) {
      this.recorder.hear(reading(this.#seconds, value(this.#seconds)));
      this.#seconds++;
      for (const atMs of this.#points.splice(0)) await this.serving.point(atMs);
    }
  }

  get states(): string {
    return this.serving.versions.versions.map(({ round, state }) => `${round} ${state}`).join(", ");
  }
}

t.test(
  "from the first model on windows are scored; a better one takes over after its trial",
  async (t) => {
    const device = new Device();
    await device.hear(40);
    t.same(device.scores, [], "there is no model yet");
    await device.serving.offer(1, hashOf(1));
    await device.hear(5);
    t.same(
      device.scores.map(({ round }) => round),
      [1, 1, 1, 1, 1],
    );
    await device.serving.offer(2, hashOf(2));
    t.equal(device.states, "2 canary, 1 serving");
    t.equal(device.open, 2);
    await device.hear(4);
    t.equal(device.scores.at(-1)?.round, 1);
    await device.hear(2);
    t.equal(device.states, "2 serving, 1 retired");
    t.equal(device.scores.at(-1)?.round, 2);
    t.equal(device.open, 1, "the one that is not needed is disposed of");
  },
);

t.test("one that is worse, or gives no numbers, never serves", async (t) => {
  const device = new Device();
  await device.hear(40);
  await device.serving.offer(2, hashOf(2));
  await device.serving.offer(3, hashOf(3));
  t.equal(device.states, "3 rejected, 2 serving");
  await t.rejects(device.serving.offer(5, hashOf(5)), {
    code: "data.setting",
    message: /not finite/,
  });
  t.equal(device.states, "3 rejected, 2 serving");
  t.equal(device.open, 1);
});

t.test("an alert is raised and cleared", async (t) => {
  const device = new Device();
  await device.hear(40);
  await device.serving.offer(1, hashOf(1));
  await device.hear(3, () => 50);
  await device.hear(10);
  t.same(
    device.alerts.map(({ state }) => state),
    ["raised", "cleared"],
  );
  t.match(device.serving.counts(), { alerts: 1, failed: 0 });
  t.notOk(device.serving.isRaised);
});

t.test("after a restart what served serves, and the trial begins where it was", async (t) => {
  const device = new Device();
  await device.hear(40);
  await device.serving.offer(1, hashOf(1));
  await device.serving.offer(2, hashOf(2));
  await device.hear(3);
  await device.restart();
  t.equal(device.open, 2);
  await device.hear(3);
  t.equal(device.states, "2 serving, 1 retired");
});

t.test("by hand: back to what served before, whose parameters are loaded again", async (t) => {
  const device = new Device();
  await device.hear(40);
  await device.serving.offer(1, hashOf(1));
  await device.serving.offer(2, hashOf(2));
  t.equal(await device.serving.command({ kind: "promote", round: 2 }), undefined);
  t.equal(await device.serving.command({ kind: "rollback" }), undefined);
  await device.hear(2);
  t.equal(device.scores.at(-1)?.round, 1);
  t.match(await device.serving.command({ kind: "pin", round: 9 }), /no model of round 9/);
  t.equal(device.open, 1);
  await device.serving.close();
  t.equal(device.open, 0);
});

t.test("what can not be had changes nothing, and is tried again", async (t) => {
  const device = new Device();
  await t.rejects(device.serving.offer(1, hashOf(1)), { message: /history is too short/ });
  t.equal(device.open, 0);
  await device.hear(40);
  await device.serving.offer(1, hashOf(1));
  device.isCut = true;
  await t.rejects(device.serving.offer(4, hashOf(4)), { message: /nobody has it/ });
  device.isCut = false;
  await device.serving.offer(4, hashOf(4));
  t.equal(device.states, "4 canary, 1 serving");
  await device.serving.offer(4, hashOf(4));
  t.equal(device.loaded.filter((round) => round === 4).length, 1, "told again, it is known");
});

t.test("a model that waited for its trial and is gone by then holds nobody up", async (t) => {
  const device = new Device();
  await device.hear(40);
  for (const round of [1, 2, 4]) await device.serving.offer(round, hashOf(round));
  t.equal(device.states, "4 waiting, 2 canary, 1 serving");
  device.isCut = true;
  await device.hear(6);
  t.equal(device.states, "2 serving, 1 retired");
  t.same(device.lost, [4]);
  await device.hear(3);
  t.equal(device.scores.at(-1)?.round, 2);
});
