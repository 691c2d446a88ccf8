import type { Test } from "tap";
import type {
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
  /** The retained state document as a newcomer would see it. */
  state(): Promise<string>;
  /** What {@link UplinkListener.up} should tell. */
  readonly inFlightMax: number;
  /** The receiver vanishes without a word. */
  cut(): Promise<void>;
  restore(): Promise<void>;
  close(): Promise<void>;
}

/** @returns an update on stream `sensors/a`. */
export function outbound(sequence: number, over: Partial<OutboundUpdate> = {}): OutboundUpdate {
  return {
    id: `agent-1/sensors/a/${sequence}`,
    agentId: "agent-1",
    stream: "sensors/a",
    sequence,
    topic: "sensors/a",
    payload: Buffer.from(String(sequence)),
    contentType: "text/plain",
    observedAtMs: 1_795_305_600_000,
    observedAtTrusted: true,
    ...over,
  };
}

/** Notes what a connection tells its owner. */
export class Witness {
  readonly told: string[] = [];
  inFlightMax = 0;

  connect(connection: UplinkConnection): void {
    connection.connect({
      up: ({ inFlightMax }) => {
        this.inFlightMax = inFlightMax;
        this.told.push("up");
      },
      down: () => this.told.push("down"),
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
    t.equal(await under.state(), "here");
    connection.publishState(Buffer.from("gone"));
    await connection.disconnect();
    await connection.disconnect();
    t.equal(await under.state(), "gone", "what was said before disconnect has arrived");
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
