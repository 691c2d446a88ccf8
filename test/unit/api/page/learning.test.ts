import t from "tap";
import { eventDetail, eventTitle, eventTone } from "../../../../src/api/page/event-text.ts";
import {
  LEARNING_ROUNDS_MAX,
  LEARNING_TASKS_MAX,
  learningFigures,
} from "../../../../src/api/page/learning-figures.ts";
import type { LearningRound, LearningTask } from "../../../../src/api/page/model.ts";
import { curvePath, curveWords, roundCurve } from "../../../../src/api/page/round-curve.ts";

const SELF = { peerId: "12D3KooWself", agentId: "agent-1", self: true };

function roundOf(round: number, evaluation?: LearningRound["evaluation"]): LearningRound {
  return { round, heardAtMs: round, aggregator: SELF, updates: 3, samples: 30, evaluation };
}

function taskOf(name: string, round: number, state: LearningTask["state"] = "running") {
  return {
    task: name,
    spec: { name, rounds: 1_000, data: { kind: "streams" } },
    author: SELF,
    createdAtMs: 1,
    state,
    round,
    activity: "resting" as const,
    samples: 10,
  };
}

/** An agent that answers from these, and notes what it was asked. */
function agentOf(tasks: readonly LearningTask[], rounds: readonly LearningRound[]) {
  const asked: string[] = [];
  const ask = async <T>(_part: string, path: string): Promise<T | undefined> => {
    asked.push(path);
    const url = new URL(path, "http://agent");
    const after = Number(url.searchParams.get("after"));
    const answers: Record<string, unknown> = {
      "/v1/learning": { enabled: true },
      "/v1/learning/tasks": { items: tasks },
      "/v1/learning/alerts": { items: [] },
    };
    if (url.pathname.endsWith("/rounds"))
      return { items: rounds.filter(({ round }) => round > after) } as T;
    return answers[url.pathname] as T | undefined;
  };
  return { ask, asked };
}

t.test("rounds that are known are not asked for again, and are bounded", async (t) => {
  const before = Array.from({ length: 300 }, (_, at) => roundOf(at + 1));
  const first = await learningFigures(agentOf([taskOf("one", 300)], before).ask, undefined);
  if (first === "off" || first === undefined) throw new Error("nothing is shown");
  t.equal(first.tasks[0]?.rounds.length, LEARNING_ROUNDS_MAX);
  const judged = { loss: 0.5 };
  const now = [...before.slice(0, -1), roundOf(300, judged), roundOf(301)];
  const agent = agentOf([taskOf("one", 301)], now);
  const second = await learningFigures(agent.ask, first);
  if (second === "off" || second === undefined) throw new Error("nothing is shown");
  const shown = second.tasks[0]?.rounds ?? [];
  t.equal(shown.length, LEARNING_ROUNDS_MAX);
  t.same(shown.slice(-2), [roundOf(300, judged), roundOf(301)], "one is judged after it is known");
  t.ok(agent.asked.some((path) => path.includes("/rounds?after=299&")));
});

t.test("tasks that run are shown before those that are over", async (t) => {
  const over = Array.from({ length: 5 }, (_, at) => taskOf(`over-${at}`, 9, "finished"));
  const { ask } = agentOf([...over, taskOf("runs", 1)], []);
  const figures = await learningFigures(ask, undefined);
  if (figures === "off" || figures === undefined) throw new Error("nothing is shown");
  t.equal(figures.tasks[0]?.task.spec.name, "runs");
  t.equal(figures.tasks.length, LEARNING_TASKS_MAX);
  t.equal(figures.others, 2);
  t.equal(await learningFigures(async () => undefined, figures), undefined);
});

t.test("a curve says in words what it draws", async (t) => {
  t.equal(roundCurve([roundOf(1, { accuracy: 0.5 }), roundOf(2)]), undefined);
  const accuracy = roundCurve([
    roundOf(1, { accuracy: 0.5, loss: 2 }),
    roundOf(2),
    roundOf(3, { accuracy: 1, loss: 1 }),
    roundOf(5, { accuracy: 0.75, loss: 1 }),
  ]);
  if (accuracy === undefined) throw new Error("nothing is drawn");
  t.equal(
    curveWords(accuracy).replaceAll("\u00a0", " "),
    "Accuracy by round: 50 % in round 1, 75 % in round 5, best 100 % in round 3",
  );
  t.equal(curvePath(accuracy, 100, 40), "M0.0 20.0L50.0 0.0L100.0 10.0");

  const loss = roundCurve(
    [142, 0.4, 0.2, 0.1].map((value, at) => roundOf(at + 1, { loss: value })),
  );
  if (loss === undefined) throw new Error("nothing is drawn");
  t.ok(loss.scale[1] < 10, "the loss before anything is learned does not flatten the rest");
  t.equal(curveWords(loss), "Loss by round: 142 in round 1, 0.1 in round 4, the best");
  t.match(curvePath(loss, 100, 40), /^M0\.0 0\.0L/);
  const zeros = roundCurve([roundOf(1, { loss: 0 }), roundOf(2, { loss: 0 })]);
  t.equal(zeros && curvePath(zeros, 100, 40), "M0.0 40.0L100.0 40.0");
});

t.test("an anomaly is told by its name and score, not by ids", async (t) => {
  const data = {
    task: "0a".repeat(16),
    name: "press",
    state: "raised",
    score: 3.4567,
    threshold: 1,
  };
  const event = { id: 1, type: "learning.alert", atMs: 0, data };
  t.equal(eventTitle(event), "Anomaly");
  t.equal(eventTone(event), "bad");
  t.equal(eventDetail(event), "press: score 3.46, normal up to 1");
  const over = { ...event, data: { ...data, state: "cleared" } };
  t.equal(`${eventTitle(over)}, ${eventTone(over)}`, "Anomaly is over, good");
  const version = {
    ...event,
    type: "learning.version",
    data: { task: "0a", name: "press", round: 3 },
  };
  t.equal(eventDetail(version), "name press, round 3");
});
