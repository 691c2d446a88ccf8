// Orders and work as REST and command line are shown them.
import type { Order } from "../../src/coordination/tasks/order.ts";
import { noTasks, OrderRefused, type TasksView } from "../../src/coordination/tasks/view.ts";
import type { Answer } from "../../src/coordination/tasks/workshop.ts";
import { orderOf } from "./coordination/orders.ts";

/** A view that takes orders and never does them. */
export class StillTasks implements TasksView {
  readonly kept: Order[] = [];
  readonly answers: { id: string; answer: Answer }[] = [];

  summary: TasksView["summary"] = () => ({
    ...noTasks.summary(),
    enabled: true,
    orders: { ...noTasks.summary().orders, working: this.kept.length },
  });

  order: TasksView["order"] = (spec) => {
    if (spec.kind === "unheard-of")
      return Promise.reject(
        new OrderRefused("tasks.unmet", "nobody in the fleet has: kind unheard-of"),
      );
    const number = this.kept.length + 1;
    const agent = { peer: "12D3KooWpeer", agentId: "agent-2" };
    const order: Order = {
      id: `task-${number}`,
      number,
      spec: orderOf(spec),
      orderedAt: {
        wallMs: 1_795_305_600_000 + number,
        wallTrusted: true,
        monotonicMs: number,
        bootId: "boot-1",
      },
      state: "working",
      attempts: 1,
      failures: 0,
      bids: [{ ...agent, cost: 1.5, endsInMs: 2_000 }],
      contractors: [{ ...agent, state: "working", percent: 40 }],
      results: [],
      history: [
        { atMs: 1_795_305_600_000, what: "ordered" },
        { atMs: 1_795_305_600_010, what: "bid", agent },
        {
          atMs: 1_795_305_600_020,
          what: "refused",
          agent: { peer: "12D3KooWfar" },
          reason: "busy",
        },
        { atMs: 1_795_305_600_030, what: "awarded", agent },
      ],
    };
    this.kept.push(order);
    return Promise.resolve(order);
  };

  get: TasksView["get"] = (id) => this.kept.find((order) => order.id === id);

  orders: TasksView["orders"] = () => this.kept.toReversed();

  cancel: TasksView["cancel"] = (id) => {
    const at = this.kept.findIndex((order) => order.id === id);
    const order = this.kept[at];
    if (order === undefined) return undefined;
    const cancelled: Order = { ...order, state: "cancelled", fault: "cancelled", endedAtMs: 5 };
    this.kept[at] = cancelled;
    return cancelled;
  };

  /** It is done, with what came of it. */
  finish(id: string, output: string): void {
    const at = this.kept.findIndex((order) => order.id === id);
    const order = this.kept[at];
    if (order === undefined) return;
    const results = [{ peer: "12D3KooWpeer", agentId: "agent-2", output }];
    const contractors = order.contractors.map((one) => ({ ...one, state: "done" as const }));
    this.kept[at] = { ...order, state: "done", contractors, results, endedAtMs: 1_795_305_601_000 };
  }

  offers: TasksView["offers"] = () => [
    {
      id: "theirs",
      kind: "measure",
      input: '{"room":7}',
      from: "12D3KooWpeer",
      offeredAtMs: 1_795_305_600_000,
      percent: 0,
    },
  ];

  answer: TasksView["answer"] = (id, answer) => {
    if (id !== "theirs") return false;
    this.answers.push({ id, answer });
    return true;
  };
}
