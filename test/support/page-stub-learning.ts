import type {
  Learning,
  LearningAlert,
  LearningRound,
  LearningServing,
  LearningTask,
} from "../../src/api/page/model.ts";
import type { StubState } from "./page-stub-data.ts";

const OWN = "0a".repeat(16);
const OTHERS = "0b".repeat(16);
const GATEWAY = { peerId: "12D3KooW0001QwErTyUiOpAsDfGhJkLzXcVbNm", agentId: "gateway-east" };
const ROUNDS = 40;

/** A task on this agent's sensors that it started itself, and one of another agent's that it has no samples for. */
export function learningAnswers(
  state: StubState,
  query: URLSearchParams,
): Readonly<Record<string, unknown>> {
  const enabled = state.learning !== "off";
  const learning: Learning = { enabled };
  if (!enabled) return { "/v1/learning": learning };
  const known = state.learning !== "none";
  const after = Number(query.get("after") ?? 0);
  const rounds = (all: readonly LearningRound[]) => ({
    items: all.filter(({ round }) => round > after),
  });
  return {
    "/v1/learning": learning,
    "/v1/learning/tasks": { items: known ? [own(state), others()] : [] },
    "/v1/learning/alerts": { items: state.learning === "anomaly" ? alerts() : [] },
    [`/v1/learning/tasks/${OWN}/rounds`]: rounds(ownRounds(state)),
    [`/v1/learning/tasks/${OWN}/serving`]: serving(state),
    [`/v1/learning/tasks/${OTHERS}/rounds`]: rounds([]),
  };
}

function ownRounds(state: StubState): LearningRound[] {
  const count = Math.min(ROUNDS, 17 + Math.floor(state.tick / 10));
  return Array.from({ length: count }, (_, at) => ({
    round: at + 1,
    heardAtMs: Date.now() - (count - at) * 64_000,
    tookMs: 64_000,
    aggregator: { ...GATEWAY, self: false },
    updates: at % 5 === 0 ? 5 : 6,
    samples: 9_600,
    evaluation: { loss: 0.04 + 0.9 / (at + 1) + 0.02 * Math.sin(at * 2.1) ** 2 },
  }));
}

function own(state: StubState): LearningTask {
  const rounds = ownRounds(state);
  const latest = rounds.at(-1);
  return {
    task: OWN,
    spec: { name: "soil-anomaly", rounds: ROUNDS, data: { kind: "streams" } },
    author: { peerId: "12D3KooW9999", agentId: state.agentId, self: true },
    createdAtMs: Date.now() - 3_600_000,
    state: state.learningState,
    round: rounds.length,
    ...(state.mode === "normal"
      ? { activity: "training", progress: { round: rounds.length + 1, step: 90, steps: 150 } }
      : { activity: "held", because: `the power mode is ${state.mode}` }),
    samples: 1_600,
    ...(latest && { latest }),
  };
}

function others(): LearningTask {
  return {
    task: OTHERS,
    spec: { name: "pump-digits", rounds: 100, data: { kind: "dataset" } },
    author: { ...GATEWAY, self: false },
    createdAtMs: Date.now() - 7_200_000,
    state: "running",
    round: 0,
    activity: "no-data",
    because: "learning.datasets names no pump-digits",
    samples: 0,
  };
}

function serving(state: StubState): LearningServing {
  const raised = state.learning === "anomaly";
  return {
    round: 15,
    threshold: 0.96,
    newest: { atMs: Date.now(), score: raised ? 3.1 : 0.312, isAnomalous: raised },
    alert: raised ? { raised, sinceMs: Date.now() - 180_000 } : { raised },
    detector: { judged: 420, alerts: raised ? 2 : 0 },
  };
}

function alerts(): LearningAlert[] {
  const alert = { task: OWN, name: "soil-anomaly", threshold: 0.96, round: 15 };
  const now = Date.now();
  const earlier = now - 9_000_000;
  return [
    { ...alert, state: "raised", atMs: now - 180_000, sinceMs: now - 200_000, score: 3.12 },
    { ...alert, state: "cleared", atMs: earlier, sinceMs: earlier - 900_000, score: 0.41 },
    {
      ...alert,
      state: "raised",
      atMs: earlier - 880_000,
      sinceMs: earlier - 900_000,
      score: 1.25,
      round: 11,
    },
  ];
}
