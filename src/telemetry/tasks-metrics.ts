import type { TasksSummary, TasksView } from "../coordination/tasks/view.ts";
import type { Add } from "./add-metric.ts";

/** Registers `agent_mesh_task*`. An agent that takes no part has no samples. */
export function addTasks(gauge: Add, counter: Add, tasks: TasksView): void {
  const read =
    <T>(from: (summary: TasksSummary) => T) =>
    (): T | undefined => {
      const summary = tasks.summary();
      return summary.enabled ? from(summary) : undefined;
    };
  gauge(
    "tasks",
    "Orders that this agent took and keeps, by state.",
    read(({ orders }) =>
      Object.entries(orders).map(([state, value]) => ({ labels: { state }, value })),
    ),
  );
  counter(
    "tasks_ordered_total",
    "Orders that this agent took.",
    read(({ counters }) => counters.ordered),
  );
  counter(
    "tasks_refused_total",
    "Orders that were not taken: nobody could do them, or there was no room.",
    read(({ counters }) => counters.refused),
  );
  counter(
    "tasks_ended_total",
    "Orders that have ended, by how.",
    read(({ counters }) => [
      { labels: { end: "done" }, value: counters.done },
      { labels: { end: "failed" }, value: counters.failed },
      { labels: { end: "cancelled" }, value: counters.cancelled },
    ]),
  );
  counter(
    "tasks_retries_total",
    "Attempts that came to nothing and were followed by another.",
    read(({ counters }) => counters.retries),
  );
  counter(
    "tasks_assigned_total",
    "Orders that were awarded to an agent.",
    read(({ counters }) => counters.assigned),
  );
  counter(
    "tasks_assignment_seconds_total",
    "Time from order to first award, of all of them together.",
    read(({ counters }) => counters.assignedAfterMs / 1_000),
  );
  gauge(
    "tasks_capacity",
    "Tasks that this agent works on at once.",
    read(({ work }) => work.capacity),
  );
  gauge(
    "tasks_capacity_taken",
    "How much of that bids and work take.",
    read(({ work }) => work.taken),
  );
  counter(
    "tasks_worked_total",
    "Tasks that were worked on here, by how they ended.",
    read(({ work }) => [
      { labels: { end: "done" }, value: work.done },
      { labels: { end: "failed" }, value: work.failed },
    ]),
  );
  counter(
    "tasks_messages_untaken_total",
    "Words about tasks that were not taken, by kind.",
    read(({ net }) => [
      { labels: { kind: "stray" }, value: net?.stray ?? 0 },
      { labels: { kind: "malformed-message" }, value: net?.["malformed-message"] ?? 0 },
    ]),
  );
}
