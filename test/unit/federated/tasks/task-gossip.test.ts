// How the rounds of a task get around: everybody hears of them, and hardly anybody twice.
import t from "tap";
import type { KnownTask, Statement } from "../../../../src/federated/tasks/known-task.ts";
import { versionOf } from "../../../../src/federated/tasks/known-task.ts";
import { type GossipEffect, TaskGossip } from "../../../../src/federated/tasks/task-gossip.ts";

const TASK = "0123456789abcdef0123456789abcdef";
const HEAD_BYTES = 1_000;

/** Knows one task, and takes any head that is newer. */
class OneBook {
  known = { manifest: { task: TASK } } as KnownTask;
  taken = 0;
  all = () => [this.known].values();
  get = () => this.known;
  versions = () => [versionOf(this.known)];
  take = ({ task, head }: Statement) => {
    this.taken++;
    const round = head?.[0] ?? 0;
    if (head === undefined || round <= (this.known.head?.round ?? 0))
      return { kind: "old" } as const;
    this.known = { ...this.known, head: { round, bytes: head } };
    return { kind: "news", news: { task, head }, task: this.known } as const;
  };
}

/** Nodes that are all linked to each other. */
function world(size: number) {
  const names = Array.from({ length: size }, (_, at) => `node-${at}`);
  const books = names.map(() => new OneBook());
  const nodes = new Map(
    names.map((name, at) => [
      name,
      new TaskGossip({
        book: books[at] as never,
        neighboursMax: 64,
        offence: () => undefined,
        onNews: () => undefined,
      }),
    ]),
  );
  const queue: { from: string; effect: GossipEffect }[] = [];
  const add = (from: string, effects: readonly GossipEffect[]): void =>
    void queue.push(...effects.map((effect) => ({ from, effect })));
  const run = (isLost: (to: string) => boolean = () => false): number => {
    let heads = 0;
    for (let each = queue.shift(); each !== undefined; each = queue.shift()) {
      const { from, effect } = each;
      if (isLost(effect.to)) continue;
      if (effect.message.kind === "statements")
        heads += effect.message.statements.filter(({ head }) => head !== undefined).length;
      add(effect.to, nodes.get(effect.to)!.message(from, effect.message));
    }
    return heads;
  };
  for (const name of names)
    for (const other of names) if (name !== other) add(name, nodes.get(name)!.linkUp(other));
  run();
  const announce = (at: number, round: number): void => {
    const head = new Uint8Array(HEAD_BYTES).fill(round);
    books[at]!.take({ task: TASK, head });
    add(`node-${at}`, nodes.get(`node-${at}`)!.announce({ task: TASK, head }));
  };
  return { books, nodes, add, run, announce };
}

t.test("all hear of a round, and hardly anybody twice", async (t) => {
  const { books, run, announce } = world(30);
  for (let round = 1; round <= 5; round++) {
    announce(round, round);
    const heads = run();
    t.ok(books.every(({ known }) => known.head?.round === round));
    t.ok(heads <= 4 * 30, `${heads} heads for 30 nodes, where telling all neighbours takes 870`);
  }
});

t.test("who could not be reached hears of it with the next hello", async (t) => {
  const { books, nodes, add, run, announce } = world(8);
  announce(0, 1);
  run((to) => to === "node-5");
  t.equal(books[5]!.known.head, undefined);
  add("node-2", nodes.get("node-2")!.refresh());
  run();
  t.equal(books[5]!.known.head?.round, 1);
});

t.test("an answer that never comes is asked for elsewhere", async (t) => {
  const { nodes } = world(3);
  const node = nodes.get("node-0")!;
  const newer = {
    kind: "want",
    unknown: [],
    versions: [{ task: TASK, serial: 0, round: 7 }],
  } as const;
  t.match(node.message("node-1", newer), [{ to: "node-1", message: { kind: "want" } }]);
  t.same(node.message("node-1", newer), [], "once");
  node.linkDown("node-1");
  t.match(node.message("node-2", newer), [{ to: "node-2", message: { kind: "want" } }]);
});
