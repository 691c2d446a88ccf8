import t from "tap";
import { type Control, signControl } from "../../../../src/federated/tasks/control.ts";
import { type Manifest, signManifest } from "../../../../src/federated/tasks/manifest.ts";
import { TASKS_MAX } from "../../../../src/federated/tasks/task-book.ts";
import type { Signer } from "../../../../src/platform/signer.ts";
import { plainHasher } from "../../../../src/simulator/plain-hasher.ts";
import { headOf, specWith, TaskWorld } from "../../../support/learning/task-world.ts";

const manifestOf = (signer: Signer, createdAtMs = 1): Manifest =>
  signManifest(
    { signer, hasher: plainHasher },
    { spec: specWith(), createdAtMs, firstModelHash: "0".repeat(64) },
  );
const controlOf = (signer: Signer, task: string, serial: number, state: Control["state"]) =>
  signControl(signer, { task, serial, state }).proof;

t.test("a later word of the author counts, and what is stopped stays so", async (t) => {
  const world = new TaskWorld("controls", 1);
  const { book, signer } = world.nodes[0]!;
  const { task, proof } = manifestOf(signer);
  t.equal(book.take({ task, manifest: proof }).kind, "news");
  t.equal(book.take({ task, manifest: proof }).kind, "old");
  t.equal(book.take({ task, control: controlOf(signer, task, 2, "paused") }).kind, "news");
  t.equal(book.take({ task, control: controlOf(signer, task, 1, "running") }).kind, "old");
  t.equal(book.take({ task, control: controlOf(signer, task, 3, "stopped") }).kind, "news");
  t.equal(book.take({ task, control: controlOf(signer, task, 9, "running") }).kind, "old");
  t.equal(book.get(task)?.control?.state, "stopped");
});

t.test("only the author's word counts, and only what a committee decided", async (t) => {
  const world = new TaskWorld("forgers", 2);
  const [{ book, signer }, { signer: other }] = world.nodes as [
    (typeof world.nodes)[0],
    (typeof world.nodes)[0],
  ];
  const { task, proof } = manifestOf(signer);
  const forged = { kind: "fault", fault: "forged" };
  const bent = proof.manifest.map((byte, at) => (at === 9 ? byte ^ 1 : byte));
  t.match(book.take({ task, manifest: { ...proof, manifest: bent } }), forged);
  t.match(book.take({ task, manifest: { ...proof, publicKey: other.publicKey } }), forged);
  t.match(book.take({ task: "0".repeat(32), manifest: proof }), { fault: "malformed" });
  t.equal(book.take({ task, control: controlOf(signer, task, 1, "paused") }).kind, "unknown-task");
  book.take({ task, manifest: proof });
  t.match(book.take({ task, control: controlOf(other, task, 1, "stopped") }), forged);
  t.match(
    book.take({ task, control: controlOf(signer, "1".repeat(32), 1, "stopped") }),
    forged,
    "said of another task",
  );
  t.match(book.take({ task, head: headOf(other, task, 3) }), forged);
  t.match(
    book.take({ task, head: headOf(world.committee, "1".repeat(32), 3) }),
    { fault: "malformed" },
    "a round of another task",
  );
  t.equal(book.take({ task, head: headOf(world.committee, task, 3) }).kind, "news");
  t.equal(book.take({ task, head: headOf(world.committee, task, 2) }).kind, "old");
  t.match(book.get(task), { head: { round: 3 } });
});

t.test("what a later program says is left alone, and is no offence", async (t) => {
  const world = new TaskWorld("later", 1);
  const { book, signer } = world.nodes[0]!;
  const text = JSON.stringify({ format: 2, author: signer.peerId, createdAtMs: 1, spec: {} });
  const manifest = new TextEncoder().encode(text);
  const signature = signer.sign("agent-mesh/learning-manifest/1", manifest);
  const task = plainHasher.sha256Hex(manifest).slice(0, 32);
  const taken = book.take({
    task,
    manifest: { publicKey: signer.publicKey, manifest, signature },
  });
  t.match(taken, { kind: "not-understood" });
});

t.test("all is there after a restart; a damaged entry is forgotten alone", async (t) => {
  const world = new TaskWorld("restart", 1);
  const { book, signer, store } = world.nodes[0]!;
  const [one, other] = [manifestOf(signer, 1), manifestOf(signer, 2)];
  for (const { task, proof } of [one, other]) book.take({ task, manifest: proof });
  book.take({ task: one.task, control: controlOf(signer, one.task, 4, "paused") });
  book.take({ task: one.task, head: headOf(world.committee, one.task, 7) });
  await book.written();
  await store.write([{ type: "put", key: `l/task/${other.task}`, value: Uint8Array.of(1, 2, 3) }], {
    durable: true,
  });
  const again = world.node("restart/0", store).book;
  await again.load();
  t.match(Array.from(again.all()), [
    { manifest: { task: one.task }, control: { serial: 4, state: "paused" }, head: { round: 7 } },
  ]);
});

t.test("there is room for so many; one that was stopped gives way", async (t) => {
  const world = new TaskWorld("room", 1);
  const { book, signer } = world.nodes[0]!;
  const manifests = Array.from({ length: TASKS_MAX + 2 }, (_, at) => manifestOf(signer, at));
  for (const { task, proof } of manifests.slice(0, TASKS_MAX)) book.take({ task, manifest: proof });
  const [late, later] = manifests.slice(TASKS_MAX) as [Manifest, Manifest];
  t.equal(book.take({ task: late.task, manifest: late.proof }).kind, "full");
  const [, second] = manifests as [Manifest, Manifest];
  book.take({ task: second.task, control: controlOf(signer, second.task, 1, "stopped") });
  t.equal(book.take({ task: later.task, manifest: later.proof }).kind, "news");
  t.equal(book.get(second.task), undefined);
  t.equal(Array.from(book.all()).length, TASKS_MAX);
});

t.test("a round of a committee that is not known yet is judged when it is", async (t) => {
  const world = new TaskWorld("early", 1);
  const { book, signer } = world.nodes[0]!;
  const { task, proof } = manifestOf(signer);
  world.knowsCommittee = false;
  const head = headOf(world.committee, task, 5);
  t.equal(book.take({ task, manifest: proof, head }).kind, "news", "the task itself is");
  t.ok(book.isUncertain(task));
  t.match(book.judgeAgain(), [{ kind: "not-understood" }]);
  t.ok(book.isUncertain(task), "still");
  world.knowsCommittee = true;
  t.match(book.judgeAgain(), [{ kind: "news", task: { head: { round: 5 } } }]);
  t.notOk(book.isUncertain(task));
  t.same(book.judgeAgain(), []);
});
