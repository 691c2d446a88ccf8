import type { Body } from "../../api/schemas/common.ts";
import type { learning, learningRound } from "../../api/schemas/learning.ts";
import { bytes, duration, plural, print, printPairs, printTable, time } from "../output.ts";
import type { TaskDocument } from "./find-task.ts";
import { percent } from "./lab-progress.ts";

type Round = Body<typeof learningRound>;

/** Prints learning, in short. */
export function printLearning({ enabled, tasks, datasets, counters }: Body<typeof learning>): void {
  if (!enabled) {
    print("this agent does not learn; set learning.enabled on it");
    return;
  }
  const { sentBytes, receivedBytes, evidence } = counters;
  const misdeeds = Object.entries(evidence).map(([misdeed, times]) => `${misdeed} ${times}`);
  printPairs([
    [
      "tasks",
      Object.entries(tasks)
        .map(([state, of]) => `${of} ${state}`)
        .join(", "),
    ],
    ["datasets", datasets.join(", ") || "none; set learning.datasets to train here"],
    ["rounds", `${counters.rounds} heard of, ${counters.aggregations} closed here`],
    ["updates", `${counters.updatesSent} sent, ${counters.trainingFailures} trainings failed`],
    ["records", `${counters.accepted} accepted, ${counters.rejected} rejected`],
    ["tensors", `${bytes(sentBytes)} sent, ${bytes(receivedBytes)} received`],
    ["evidence", misdeeds.join(", ") || "none"],
  ]);
}

/** Prints tasks, a line for each. */
export function printTasks(tasks: readonly TaskDocument[]): void {
  printTable(
    ["TASK", "NAME", "STATE", "ROUND", "UPDATES", "ACCURACY", "HERE"],
    tasks.map((task) => [
      task.task,
      task.spec.name,
      task.state,
      `${task.round} of ${task.spec.rounds}`,
      task.latest === undefined ? "" : String(task.latest.updates),
      task.latest === undefined ? "" : accuracyOf(task.latest),
      activityOf(task),
    ]),
    "no learning tasks",
  );
}

/** Prints a task, and its newest rounds. */
export function printTask(task: TaskDocument, rounds: readonly Round[]): void {
  const { spec, author, samples, network } = task;
  const activity = activityOf(task);
  printPairs([
    ["task", `${task.task}, ${spec.name}`],
    ["state", `${task.state}, round ${task.round} of ${spec.rounds}`],
    ["author", `${author.agentId ?? author.peerId}${author.self ? " (this agent)" : ""}`],
    ["started", time(task.createdAtMs)],
    ["data", `${dataOf(spec)}, ${plural(samples, "sample")} here`],
    ...(network === undefined ? [] : ([["network", `${network} here`]] as const)),
    ...(activity === "" ? [] : ([["here", activity]] as const)),
  ]);
  print("");
  const hasOwn = spec.personalization !== undefined;
  printTable(
    [
      "ROUND",
      "HEARD",
      "TOOK",
      "UPDATES",
      "SAMPLES",
      "ACCURACY",
      "LOSS",
      ...(hasOwn ? ["OWN"] : []),
      "BY",
    ],
    rounds.map((round) => [
      String(round.round),
      time(round.heardAtMs),
      round.tookMs === undefined ? "" : duration(round.tookMs),
      String(round.updates),
      String(round.samples),
      accuracyOf(round),
      round.evaluation?.loss?.toFixed(4) ?? "",
      ...(hasOwn ? [shareOf(round.ownEvaluation?.accuracy)] : []),
      round.aggregator.agentId ?? round.aggregator.peerId,
    ]),
    "no rounds were heard of since this agent's start",
  );
}

/** @returns a round as `learn watch` tells of it */
export function roundLine(round: Round, rounds: number): string {
  const { aggregator, evaluation, ownEvaluation } = round;
  const loss = evaluation?.loss === undefined ? "" : `loss ${evaluation.loss.toFixed(4)}`;
  return [
    `round ${round.round} of ${rounds}`,
    plural(round.updates, "update"),
    plural(round.samples, "sample"),
    accuracyOf(round),
    loss,
    ownEvaluation?.accuracy === undefined ? "" : `own model ${percent(ownEvaluation.accuracy)}`,
    `by ${aggregator.agentId ?? aggregator.peerId}`,
  ]
    .filter((part) => part !== "")
    .join(", ");
}

/** @returns what this agent does for the task, in words */
export function activityOf({ state, activity, because, progress }: TaskDocument): string {
  // Once a task has ended it does not matter what it rests from.
  if (state === "finished" || state === "stopped") return "";
  const steps =
    activity === "training" && progress !== undefined
      ? ` (step ${progress.step} of ${progress.steps})`
      : "";
  return `${activity}${steps}${because === undefined ? "" : `: ${because}`}`;
}

/** @returns what is learned from, in short */
function dataOf({ data }: TaskDocument["spec"]): string {
  if (data.kind === "dataset") return data.name;
  const channels = data.channels.map(({ name, topic }) => `${name} from ${topic}`);
  return channels.join(", ");
}

function accuracyOf({ evaluation }: Round): string {
  return shareOf(evaluation?.accuracy);
}

function shareOf(accuracy: number | undefined): string {
  return accuracy === undefined ? "" : percent(accuracy);
}
