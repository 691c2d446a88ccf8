import type { ServingState } from "../federated/serving/view.ts";
import { LearningError } from "../federated/tasks/learning-error.ts";
import type {
  LearningActivity,
  LearningCounters,
  LearningTask,
  LearningView,
} from "../federated/view.ts";
import type { MetricSample } from "../platform/metrics-registry.ts";
import type { Add } from "./add-metric.ts";

/** Tasks that have figures of their own, those that run first: each costs series in whatever keeps them. */
const TASKS_MAX = 8;
/** So much of its id tells a task from others that are called alike. */
const ID_DIGITS = 8;

const ACTIVITIES: readonly LearningActivity[] = [
  "fetching",
  "training",
  "held",
  "telling",
  "resting",
  "no-data",
  "failed",
  "following",
];

/** Registers `agent_mesh_learning_*`. An agent that does not learn has no samples. */
export function addLearning(gauge: Add, counter: Add, learning: LearningView): void {
  const count = (from: (counters: LearningCounters) => readonly MetricSample[] | number) => () => {
    const { enabled, counters } = learning.status();
    return enabled ? from(counters) : undefined;
  };
  gauge("learning_tasks", "Learning tasks that are known, by state.", () => {
    const { enabled, tasks } = learning.status();
    if (!enabled) return undefined;
    return Object.entries(tasks).map(([state, value]) => ({ labels: { state }, value }));
  });
  gauge(
    "learning_activity",
    "Running tasks for which this agent does this at the moment; held is by the power policy.",
    () => {
      if (!learning.status().enabled) return undefined;
      const running = learning.tasks().filter(({ state }) => state === "running");
      return ACTIVITIES.map((activity) => ({
        labels: { activity },
        value: running.filter((task) => task.activity === activity).length,
      }));
    },
  );
  counter(
    "learning_rounds_total",
    "Decided rounds that this agent heard of.",
    count(({ rounds }) => rounds),
  );
  counter(
    "learning_updates_sent_total",
    "Updates of its own that this agent delivered.",
    count(({ updatesSent }) => updatesSent),
  );
  counter(
    "learning_aggregations_total",
    "Rounds that this agent closed as their aggregator.",
    count(({ aggregations }) => aggregations),
  );
  counter(
    "learning_records_total",
    "Records of rounds that this agent's committee judged, by verdict.",
    count(({ accepted, rejected }) => [
      { labels: { verdict: "accepted" }, value: accepted },
      { labels: { verdict: "rejected" }, value: rejected },
    ]),
  );
  counter(
    "learning_training_failures_total",
    "Times that training failed.",
    count(({ trainingFailures }) => trainingFailures),
  );
  counter(
    "learning_evidence_total",
    "Agents that lied or did not do their part, by what they did.",
    count(({ evidence }) =>
      Object.entries(evidence).map(([kind, value]) => ({ labels: { kind }, value })),
    ),
  );
  counter(
    "learning_sent_bytes_total",
    "Bytes of models and updates that were sent.",
    count(({ sentBytes }) => sentBytes),
  );
  counter(
    "learning_received_bytes_total",
    "Bytes of models and updates that were received.",
    count(({ receivedBytes }) => receivedBytes),
  );
  addTasks(gauge, learning);
  addServing(gauge, counter, learning);
}

/** Rounds, and how good the newest model is. */
function addTasks(gauge: Add, learning: LearningView): void {
  const each =
    (from: (task: LearningTask) => number | undefined) => (): readonly MetricSample[] | undefined =>
      learning.status().enabled ? samplesOf(shownTasks(learning), from) : undefined;
  gauge(
    "learning_round",
    `Newest decided round of a task; of the ${TASKS_MAX} newest, those that run first.`,
    each(({ round }) => round),
  );
  gauge(
    "learning_round_updates",
    "Updates in the newest round of a task.",
    each(({ latest }) => latest?.updates),
  );
  gauge(
    "learning_loss",
    "Loss of a task's newest model on this agent's held-out samples; absent until it was judged.",
    each(({ latest }) => latest?.evaluation?.loss),
  );
  gauge(
    "learning_accuracy",
    "Accuracy of a task's newest model on this agent's held-out samples, from 0 to 1; absent without classes.",
    each(({ latest }) => latest?.evaluation?.accuracy),
  );
}

/** What the models make of this agent's own sensors. */
function addServing(gauge: Add, counter: Add, learning: LearningView): void {
  const each = (from: (state: ServingState) => number | undefined) => () => {
    if (!learning.status().enabled) return undefined;
    return samplesOf(shownTasks(learning), (task) => {
      const state = servingOf(learning, task);
      return state && from(state);
    });
  };
  gauge(
    "learning_score",
    "Score of the newest window of this agent's sensors; absent before one was judged.",
    each(({ newest }) => newest?.score),
  );
  gauge(
    "learning_threshold",
    "A window with a score above it is anomalous.",
    each(({ threshold }) => threshold),
  );
  gauge(
    "learning_alert_raised",
    "1 while an alert is raised.",
    each(({ alert }) => Number(alert.raised)),
  );
  counter(
    "learning_alerts_total",
    "Alerts that were raised.",
    each(({ detector }) => detector.alerts),
  );
  counter(
    "learning_windows_judged_total",
    "Windows of this agent's sensors that were judged.",
    each(({ detector }) => detector.judged),
  );
  counter(
    "learning_readings_total",
    "Readings that were put into a task's history.",
    each(({ recorder }) => recorder.recorded),
  );
}

function shownTasks(learning: LearningView): readonly LearningTask[] {
  return learning
    .tasks()
    .toSorted((one, other) => Number(isOver(one)) - Number(isOver(other)))
    .slice(0, TASKS_MAX);
}

function isOver({ state }: LearningTask): boolean {
  return state === "stopped" || state === "finished";
}

function samplesOf(
  tasks: readonly LearningTask[],
  from: (task: LearningTask) => number | undefined,
): readonly MetricSample[] {
  return tasks.flatMap((task) => {
    const value = from(task);
    if (value === undefined || !Number.isFinite(value)) return [];
    return [{ labels: { name: task.spec.name, task: task.task.slice(0, ID_DIGITS) }, value }];
  });
}

/** @returns undefined for a task that is not on sensors, or that this agent takes no part in */
function servingOf(learning: LearningView, { task, spec }: LearningTask): ServingState | undefined {
  if (spec.data.kind !== "streams") return undefined;
  try {
    return learning.serving.state(task);
  } catch (error) {
    if (error instanceof LearningError) return undefined;
    throw error;
  }
}
