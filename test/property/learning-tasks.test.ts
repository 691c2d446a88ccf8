// Learning tasks get around: whoever starts, pauses and stops them, whatever is lost on the way, in the end all know the same.
import * as fc from "fast-check";
import t from "tap";
import { type Control, signControl } from "../../src/federated/tasks/control.ts";
import { signManifest } from "../../src/federated/tasks/manifest.ts";
import { decodeMessage, decodeStatement } from "../../src/federated/tasks/message-codec.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { plainHasher } from "../../src/simulator/plain-hasher.ts";
import { headOf, specWith, TaskWorld } from "../support/learning/task-world.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed, numRuns: Number(process.env["FC_RUNS"] ?? 100) });

/** Everything that a node knows, to compare. */
const knowledge = ({ book }: TaskWorld["nodes"][number]) =>
  Array.from(
    book.all(),
    ({ manifest, control, head }) =>
      [manifest.task, control?.serial, control?.state, head?.round] as const,
  ).sort(([one], [other]) => (one < other ? -1 : 1));

t.test("in the end all know the same tasks, states and rounds", async (t) => {
  let stopped = 0;
  let heads = 0;
  await fc.assert(
    fc.asyncProperty(fc.integer(), fc.integer({ min: 2, max: 12 }), async (seed, count) => {
      const random = new SeededRandom(`acts/${seed}`);
      const below = (most: number) => Math.floor(random.next() * most);
      const world = new TaskWorld(`world/${seed}`, count);
      world.lossRate = random.next() * 0.4;
      const controls = new Map<string, Control & { author: number }>();
      const rounds = new Map<string, number>();
      for (let act = 0; act < 60; act++) {
        const [one, other] = [below(count), below(count)];
        const node = world.nodes[one]!;
        const tasks = [...controls.keys()];
        const task = tasks[below(tasks.length)];
        const draw = below(10);
        if (draw < 3) world.link(one, other);
        else if (draw === 3) world.cut(one, other);
        else if (draw === 4 && tasks.length < 6) {
          const parts = { signer: node.signer, hasher: plainHasher };
          const manifest = signManifest(parts, {
            spec: specWith({ seed: act }),
            createdAtMs: act,
            firstModelHash: "0".repeat(64),
          });
          controls.set(manifest.task, {
            task: manifest.task,
            serial: 0,
            state: "running",
            author: one,
          } as Control & { author: number });
          const taken = node.book.take({ task: manifest.task, manifest: manifest.proof });
          if (taken.kind === "news") world.say(one, node.gossip.announce(taken.news));
        } else if (draw === 5 && task !== undefined) {
          const { author, serial, state } = controls.get(task)!;
          if (state === "stopped") continue;
          const states = ["running", "paused", "paused", "stopped"] as const;
          const writer = world.nodes[author]!;
          const control = signControl(writer.signer, {
            task,
            serial: serial + 1,
            state: states[below(4)]!,
          });
          if (control.state === "stopped") stopped++;
          controls.set(task, { ...control, author });
          const taken = writer.book.take({ task, control: control.proof });
          if (taken.kind === "news") world.say(author, writer.gossip.announce(taken.news));
        } else if (draw === 6 && task !== undefined && node.book.get(task) !== undefined) {
          const round = (rounds.get(task) ?? 0) + 1;
          rounds.set(task, round);
          heads++;
          const taken = node.book.take({ task, head: headOf(world.committee, task, round) });
          if (taken.kind === "news") world.say(one, node.gossip.announce(taken.news));
        } else for (let step = 0; step < 20; step++) world.step();
      }
      world.lossRate = 0;
      for (let at = 1; at < count; at++) world.link(at, below(at));
      world.settle();
      // What was lost before: as many hellos as it takes to go from end to end.
      for (let turn = 0; turn < count; turn++) {
        world.refresh();
        world.settle();
      }
      const [first, ...others] = world.nodes.map(knowledge);
      if (first?.length !== controls.size) return false;
      for (const [task, serial, state, round] of first) {
        const wanted = controls.get(task)!;
        if ((serial ?? 0) !== wanted.serial || (state ?? "running") !== wanted.state) return false;
        if (round !== rounds.get(task)) return false;
      }
      const quiet = world.messages;
      world.refresh();
      world.settle();
      // Where all know all, a hello is answered with nothing.
      if (world.messages - quiet !== world.links.size) return false;
      if (world.nodes.some(({ offences }) => offences.length > 0)) return false;
      return others.every((other) => JSON.stringify(other) === JSON.stringify(first));
    }),
  );
  t.ok(stopped > 0 && heads > 0, `${stopped} were stopped, ${heads} rounds were decided`);
});

t.test("bytes from anywhere are a message, or none", async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      decodeMessage(bytes);
      decodeStatement(bytes);
      return true;
    }),
  );
});
