import t from "tap";
import { encodeBlock } from "../../../../src/consensus/tendermint-member/block.ts";
import { addData, GroupState } from "../../../../src/consensus/tendermint-member/group-state.ts";
import type { Operation } from "../../../../src/consensus/tendermint-member/operation.ts";
import { decodeState } from "../../../../src/consensus/tendermint-member/state-codec.ts";
import { plainHasher } from "../../../../src/simulator/plain-hasher.ts";
import { Journal } from "../../../support/tendermint-member-world.ts";

const FOUNDERS = ["a", "b", "c", "d"];
const TICKET = "07".repeat(16);
const options = { snapshotEveryHeights: 5, snapshotEveryBytes: 100_000 };
let ids = 0;

function made(): { readonly state: GroupState; readonly journal: Journal } {
  const journal = new Journal();
  const state = new GroupState("group", FOUNDERS, {
    machine: journal,
    hasher: plainHasher,
    options,
  });
  state.found();
  return { state, journal };
}

function operation(kind: Operation["kind"], data: string | Uint8Array): Operation {
  const id = new Uint8Array(16);
  new DataView(id.buffer).setUint32(0, ++ids);
  return { kind, id, data: typeof data === "string" ? Buffer.from(data) : data };
}

function applied(state: GroupState, ...operations: Operation[]) {
  const block = { basis: state.basis, operations };
  const bytes = encodeBlock(block);
  return state.apply(plainHasher.sha256Hex(bytes), block, bytes.length);
}

t.test("two that apply the same hold the same", async (t) => {
  const [one, other] = [made(), made()];
  const first = operation("value", "first");
  for (const { state } of [one, other]) {
    applied(state, first, operation("nothing", ""));
    ids--;
    applied(state);
  }
  t.same(one.state.basis, other.state.basis);
  t.equal(one.state.height, 2);
  t.same(one.journal.values, ["first"]);
  applied(one.state, operation("value", "more"));
  applied(other.state, operation("value", "else"));
  t.not(one.state.basis.head, other.state.basis.head);
});

t.test("the digest is of the answers too", async (t) => {
  const [one, other] = [made(), made()];
  // A machine that does not keep to the rules.
  other.journal.values.push("from elsewhere");
  const value = operation("value", "first");
  applied(one.state, value);
  applied(other.state, value);
  t.not(one.state.basis.head, other.state.basis.head);
});

t.test("members change from the next height on, within bounds", async (t) => {
  const { state, journal } = made();
  t.same(journal.memberships, [FOUNDERS]);
  const few = applied(state, operation("remove", "a"));
  t.match(few.applied[0]?.refusal, /at least 4/);
  applied(state, operation("add", addData(TICKET, "e")));
  t.same(state.members, [...FOUNDERS, "e"]);
  t.same(state.changes, [{ id: "e", power: 1 }]);
  t.equal(state.admissionOf("e"), TICKET);
  const again = applied(state, operation("add", addData(TICKET, "e")));
  t.equal(again.applied[0]?.refusal, undefined, "no error, and no change");
  t.same(state.changes, []);
  applied(state, operation("remove", "e"));
  t.ok(state.hasLeft("e", TICKET));
  t.notOk(state.hasLeft("e", undefined), "another beginning");
  t.match(applied(state, operation("add", "x")).applied[0]?.refusal, /nobody/);
  for (let count = 0; count < 70; count++)
    applied(state, operation("add", addData(TICKET, `member ${count}`)));
  t.equal(state.members.length, 64);
  t.same(journal.memberships.at(-1), state.members);
});

t.test("a state that is taken over goes on as the one that it was", async (t) => {
  const { state } = made();
  const repeated = operation("value", "repeated");
  applied(state, repeated, operation("add", addData(TICKET, "e")));
  applied(state, operation("remove", "a"));
  for (let count = 0; count < 2; count++) applied(state, operation("value", `value ${count}`));
  const { snapshot } = applied(state, operation("value", "last"));
  if (snapshot === undefined) throw new Error("no snapshot after five heights");
  t.equal(state.basis.snapshotDigest, snapshot.valueId);
  const copy = made();
  t.equal(copy.state.restore(4, snapshot.valueId, snapshot.state), false, "of another height");
  t.equal(copy.state.restore(5, snapshot.valueId, snapshot.state), true);
  t.same(copy.state.basis, state.basis);
  t.same(copy.state.members, state.members);
  t.ok(copy.state.isFormer("a"));
  for (const one of [repeated, operation("value", "new")]) {
    const ours = applied(state, one).applied;
    ids--;
    t.same(applied(copy.state, one).applied, ours);
    ids++;
  }
  t.same(copy.state.basis, state.basis);
  t.same(copy.state.rotation.snapshot(), state.rotation.snapshot());
  t.equal(copy.journal.values.filter((value) => value === "repeated").length, 1);
});

t.test("bytes that are no state are none", async (t) => {
  const { state } = made();
  let bytes = new Uint8Array();
  for (let count = 0; count < 5; count++)
    bytes = Uint8Array.from(applied(state, operation("value", "x")).snapshot?.state ?? []);
  t.ok(decodeState(bytes));
  for (let length = 0; length < bytes.length - 8; length++) {
    const cut = bytes.slice(0, length);
    const read = decodeState(cut);
    t.ok(read === undefined || read.machine.length < bytes.length);
  }
  bytes.set(Buffer.from("{}"), 8);
  t.equal(decodeState(bytes), undefined);
  t.equal(made().state.restore(5, "", new Uint8Array(3)), false);
});
