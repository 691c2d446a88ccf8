import type { Test } from "tap";
import type {
  Marks,
  OutboundUpdate,
  SendOutcome,
  UplinkConnection,
} from "../../src/platform/uplink-connection.ts";
import { eventually } from "../support/mosquitto.ts";

/** One implementation with a receiver that the suite can take away and bring back. */
export interface UplinkUnderTest {
  readonly connection: UplinkConnection;
  /** Ids of the updates that arrived, in order of arrival. */
  received(): readonly string[];
  /** The retained state document as a newcomer would see it; absent where nothing is retained. */
  state?(): Promise<string>;
  /** A connection that is not in use shows its loss only when it is used. */
  readonly lossShowsInUse?: boolean;
  /** What {@link UplinkListener.up} should tell. */
  readonly inFlightMax: number;
  /** The receiver vanishes without a word. */
  cut(): Promise<void>;
  restore(): Promise<void>;
  close(): Promise<void>;
}

/** @returns an update on stream `sensors/a`. */
export function outbound(sequence: number, over: Partial<OutboundUpdate> = {}): OutboundUpdate {
  const update = {
    id: `agent-1/sensors/a/${sequence}`,
    agentId: "agent-1",
    stream: "sensors/a",
    sequence,
    payload: Buffer.from(String(sequence)),
    contentType: "text/plain",
    observedAtMs: 1_795_305_600_000,
    observedAtTrusted: true,
    ...over,
  };
  // The outbox' updates make some of theirs when asked: who copies members instead of reading them gets too few.
  return Object.create(update) as OutboundUpdate;
}

/** Notes what a connection tells its owner. */
export class Witness {
  readonly told: string[] = [];
  readonly waiting: string[] = [];
  inFlightMax = 0;

  connect(connection: UplinkConnection): void {
    connection.connect({
      up: ({ inFlightMax }) => {
        this.inFlightMax = inFlightMax;
        this.told.push("up");
      },
      down: () => this.told.push("down"),
      waiting: (reason) => this.waiting.push(reason),
      command: (topic, payload) => this.told.push(`${topic} ${Buffer.from(payload).toString()}`),
    });
  }

  async until(count: number): Promise<void> {
    await eventually(() => this.told.length >= count, `event ${count} after ${this.told.join()}`);
  }
}

/** What every {@link UplinkConnection} keeps to. */
export function uplinkConnectionConformance(
  t: Test,
  name: string,
  make: (t: Test) => Promise<UplinkUnderTest>,
): void {
  t.test(`${name}: sends in order, each with one outcome, and leaves its state`, async (t) => {
    const under = await make(t);
    const { connection } = under;
    const witness = new Witness();
    witness.connect(connection);
    t.same(witness.told, [], "nothing is told before connect has returned");
    await witness.until(1);
    t.same(witness.told, ["up"]);
    t.equal(witness.inFlightMax, under.inFlightMax);
    connection.publishState(Buffer.from("here"));
    const outcomes: SendOutcome[] = [];
    for (let n = 1; n <= 20; n++) connection.send(outbound(n), (outcome) => outcomes.push(outcome));
    await eventually(() => outcomes.length === 20 && under.received().length === 20);
    t.ok(outcomes.every(({ kind }) => kind === "acknowledged"));
    t.same(
      under.received(),
      Array.from({ length: 20 }, (_, n) => outbound(n + 1).id),
    );
    if (under.state !== undefined) t.equal(await under.state(), "here");
    if (connection.askMarks !== undefined) {
      const answers: (Marks | undefined)[] = [];
      connection.askMarks(["sensors/a", "sensors/none"], (marks) => answers.push(marks));
      t.same(answers, [], "not before the call has returned");
      await eventually(() => answers.length === 1, "an answer to a question for marks");
      const { through = 0, ranges = [] } = answers[0]?.get("sensors/a") ?? {};
      t.ok(Math.max(through, ...ranges.map(([, last]) => last)) <= 20, "only what was sent");
      t.notOk(answers[0]?.get("sensors/none")?.through, "nothing of what was never sent");
      t.equal(answers.length, 1);
    }
    t.ok(connection.wireBytes >= 20, "and what it costs is counted");
    connection.publishState(Buffer.from("gone"));
    await connection.disconnect();
    await connection.disconnect();
    if (under.state !== undefined)
      t.equal(await under.state(), "gone", "what was said before disconnect has arrived");
    const { wireBytes } = connection;
    t.ok(wireBytes >= 20, "the count outlives the connection");
    t.same(witness.told, ["up"], "an orderly end is not told as a loss");
    await under.close();
  });

  t.test(
    `${name}: a lost receiver is told once, settles nothing, and can be dialled again`,
    async (t) => {
      const under = await make(t);
      const { connection } = under;
      const witness = new Witness();
      witness.connect(connection);
      await witness.until(1);
      await under.cut();
      if (under.lossShowsInUse === true)
        connection.send(outbound(7), () => t.fail("nobody is there to take it"));
      await witness.until(2);
      t.same(witness.told, ["up", "down"]);
      let settled = 0;
      connection.send(outbound(1), () => settled++);
      witness.connect(connection);
      await witness.until(3);
      t.same(witness.told, ["up", "down", "down"], "exactly one answer to an attempt that fails");
      await under.restore();
      witness.connect(connection);
      await witness.until(4);
      t.same(witness.told, ["up", "down", "down", "up"]);
      let acknowledged = 0;
      connection.send(outbound(2), () => acknowledged++);
      await eventually(() => acknowledged === 1 && under.received().length > 0);
      t.equal(settled, 0, "what was sent while down has no outcome");
      t.same(under.received(), [outbound(2).id]);
      await connection.disconnect();
      await under.close();
    },
  );
}
