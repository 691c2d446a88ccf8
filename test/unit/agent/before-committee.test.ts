import t from "tap";
import { BeforeCommittee } from "../../../src/agent/before-committee.ts";
import type { Decision, OpenProposal } from "../../../src/consensus/agreement/decision.ts";
import type { RoundRecord } from "../../../src/federated/rounds/round-record.ts";
import { VirtualKeys } from "../../../src/simulator/virtual-signer.ts";

const TOPIC = "learning/round";

/** A seat whose news a test makes up. */
class Seat {
  readonly open: string[] = [];
  #proposal: (proposal: OpenProposal) => void = () => undefined;
  #decision: (decision: Decision) => void = () => undefined;

  onProposal(listener: (proposal: OpenProposal) => void): () => void {
    this.#proposal = listener;
    return () => undefined;
  }

  onDecision(listener: (decision: Decision) => void): () => void {
    this.#decision = listener;
    return () => undefined;
  }

  onCertificate(): () => void {
    return () => undefined;
  }

  proposals(): readonly OpenProposal[] {
    return this.open.map((id) => this.#made(id));
  }

  opens(id: string, topic = TOPIC): void {
    this.open.push(id);
    this.#proposal({ ...this.#made(id), topic });
  }

  decides(id: string, outcome: "accepted" | "rejected"): void {
    this.loses(id);
    this.#decision({ ...this.#made(id), proposalId: id, outcome } as unknown as Decision);
  }

  /** It ends without anybody being told. */
  loses(id: string): void {
    this.open.splice(this.open.indexOf(id), 1);
  }

  #made(id: string): OpenProposal {
    const value = new TextEncoder().encode(id);
    return { id, topic: TOPIC, value, proposer: "somebody" } as unknown as OpenProposal;
  }
}

function before() {
  const told: string[] = [];
  const desk = {
    proposed: (id: string) => void told.push(`proposed ${id}`),
    ended: (id: string, _: Uint8Array, accepted: boolean) =>
      void told.push(`ended ${id} ${accepted}`),
    withdrawn: (id: string) => void told.push(`withdrawn ${id}`),
    certified: (record: RoundRecord) => void told.push(`certified ${record.round}`),
  };
  const signer = new VirtualKeys().signer("self");
  return { told, committee: new BeforeCommittee(desk, signer, TOPIC) };
}

t.test("what ends is told once, whoever was told that it is open", async (t) => {
  const { told, committee } = before();
  const seat = new Seat();
  committee.sweep();
  committee.follow(seat);
  for (const id of ["a", "b", "c"]) seat.opens(id);
  seat.opens("a");
  seat.opens("other", "tasks");
  t.same(told.splice(0), ["proposed a", "proposed b", "proposed c"]);
  seat.decides("a", "accepted");
  seat.open.push("a");
  seat.loses("b");
  committee.sweep();
  committee.sweep();
  t.same(told.splice(0), ["ended a true", "withdrawn b"], "b ended with a state of the group");
  seat.decides("c", "rejected");
  committee.sweep();
  t.same(told, ["ended c false"]);
});

t.test("with another seat what was before the last committee is over", async (t) => {
  const { told, committee } = before();
  const [first, second] = [new Seat(), new Seat()];
  committee.follow(first);
  first.opens("a");
  committee.follow(second);
  second.opens("b");
  committee.sweep();
  t.same(told, ["proposed a", "withdrawn a", "proposed b"]);
});
