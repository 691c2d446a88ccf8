import t from "tap";
import { CommitteeDoor, TOPIC } from "../../../src/agent/committee-door.ts";
import { AgreementError } from "../../../src/consensus/ordering/waiting.ts";
import { StoreError } from "../../../src/platform/key-value-store.ts";
import { silentLogger } from "../../../src/platform/silent-logger.ts";
import { VirtualClock } from "../../../src/simulator/virtual-clock.ts";

const ioError = new StoreError("store.failed", "writing the store: input/output error");

/** A seat whose votes end like that, one after the other, and what was voted. */
function seat(...ends: readonly (Error | undefined)[]) {
  const clock = new VirtualClock();
  const votes: string[] = [];
  const open = new Set(["p"]);
  const consensus = {
    view: {
      async vote(id: string, choice: string, reason: string): Promise<void> {
        votes.push(`${id} ${choice} ${reason}`);
        const error = ends[votes.length - 1];
        if (error !== undefined) throw error;
      },
    },
    agreement: () => ({ proposals: () => Array.from(open, (id) => ({ id, topic: TOPIC })) }),
  };
  type Consensus = ConstructorParameters<typeof CommitteeDoor>[0]["consensus"];
  const parts = { consensus: consensus as unknown as Consensus, clock, logger: silentLogger };
  return { door: new CommitteeDoor(parts), clock, votes, open };
}

t.test("a vote that the disk did not take is cast again, while the proposal is open", async (t) => {
  const busy = new AgreementError("consensus.busy", "too many words");
  const { door, clock, votes } = seat(ioError, busy);
  door.vote("p", { reject: "another model" });
  await clock.advance(10_000);
  t.same(votes, Array(3).fill("p reject another model"));
});

t.test("not when it is closed, nor when the group has refused it", async (t) => {
  const closed = seat(ioError);
  closed.door.vote("p", "accept");
  await closed.clock.advance(1_000);
  closed.open.clear();
  await closed.clock.advance(10_000);
  t.same(closed.votes, ["p accept "]);

  const refused = seat(new AgreementError("consensus.refused", "it has voted otherwise"));
  refused.door.vote("p", "accept");
  await refused.clock.advance(10_000);
  t.equal(refused.votes.length, 1);
});

t.test("nor when the agent has stopped", async (t) => {
  const { door, clock, votes } = seat(ioError, ioError);
  door.vote("p", "accept");
  await clock.advance(1_000);
  door.stop();
  await clock.advance(10_000);
  t.equal(votes.length, 1);
});
