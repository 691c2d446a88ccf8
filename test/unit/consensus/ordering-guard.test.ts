// One member alone changes nothing where members may lie: the state machine has to permit it, at that place in the order.
import t from "tap";
import type { MemberStep, StateMachine } from "../../../src/consensus/ordering/state-machine.ts";
import { changeEntry, keyOf } from "../../../src/consensus/pbft-member/operation.ts";
import { ReplicatedState } from "../../../src/consensus/pbft-member/replicated-state.ts";
import { GroupState } from "../../../src/consensus/tendermint-member/group-state.ts";
import type { Operation } from "../../../src/consensus/tendermint-member/operation.ts";
import { defaultTendermintMemberOptions } from "../../../src/consensus/tendermint-member/options.ts";
import { nodeHasher } from "../../../src/platform/node/hasher.ts";
import { plainHasher } from "../../../src/simulator/plain-hasher.ts";

const MEMBERS = ["a", "b", "c", "d", "e"];

/** Permits what it was told to. */
class Guarded implements StateMachine {
  readonly permitted = new Set<string>();
  members(): void {}
  permits({ kind, peer }: MemberStep): boolean {
    return this.permitted.has(`${kind} ${peer}`);
  }
  apply(): Uint8Array {
    return new Uint8Array();
  }
  snapshot(): Uint8Array {
    return new Uint8Array();
  }
  restore(): void {}
}

t.test("pbft", async (t) => {
  const machine = new Guarded();
  const state = new ReplicatedState(machine, 16);
  state.found(MEMBERS);
  const entry = changeEntry(new Uint8Array(16), { kind: "remove", peer: "b" });
  const key = keyOf(entry, nodeHasher);
  t.match(state.apply(entry, key), { kind: "refused", reason: /have not agreed/ });
  t.notOk(state.isEnding);
  machine.permitted.add("remove c");
  t.match(state.apply(entry, key), { kind: "refused" }, "another change was agreed on");
  machine.permitted.add("remove b");
  t.match(state.apply(entry, key), { kind: "changed" });
});

t.test("tendermint", async (t) => {
  const machine = new Guarded();
  const options = defaultTendermintMemberOptions;
  const state = new GroupState("group", MEMBERS, { machine, hasher: plainHasher, options });
  state.found();
  const remove = (id: number): Operation => ({
    kind: "remove",
    id: new Uint8Array(16).fill(id),
    data: Buffer.from("b"),
  });
  const apply = (id: number) =>
    state.apply("00".repeat(32), { basis: state.basis, operations: [remove(id)] }, 64).applied[0];
  t.match(apply(1)?.refusal, /have not agreed/);
  t.equal(state.changes.length, 0);
  machine.permitted.add("remove b");
  t.equal(apply(2)?.refusal, undefined);
  t.equal(state.changes.length, 1);
});
