import * as Type from "typebox";
import { Clone, Default } from "typebox/value";
import { describeFaults } from "../../device/schema-faults.ts";
import { learningScenario } from "./learning-scenario.ts";

const share = (value: number, description: string) =>
  Type.Number({ default: value, minimum: 0, maximum: 1, description });
const rate = (value: number, description: string) =>
  Type.Number({ default: value, minimum: 0, maximum: 3_600, description });
const percent = (value: number, description: string) =>
  Type.Number({ default: value, minimum: 0, maximum: 100, description });
const closed = <const D extends string>(description: D) =>
  ({ additionalProperties: false, default: {}, description }) as const;

/** What may befall an agent or the whole world, each so often an hour. */
const faultOptions = Type.Object(
  {
    killed: rate(0, "The process ends by `kill -9` and is started again, per agent and hour."),
    powerLost: rate(0, "The device loses power for up to two minutes, per agent and hour."),
    stopped: rate(0, "The agent is stopped in an orderly way for a while, per agent and hour."),
    stalled: rate(0, "The process does nothing for up to a minute, per agent and hour."),
    clockJumped: rate(0, "The wall clock jumps by up to a year either way, per agent and hour."),
    clogged: rate(
      0,
      "Nothing gets to or from the agent for up to 20 s, and then all at once; per agent and hour.",
    ),
    diskFull: rate(0, "The disk is full for up to five minutes, per agent and hour."),
    diskFailing: rate(0, "Every third write fails for up to a minute, per agent and hour."),
    diskDamaged: rate(
      0,
      "The device loses power and part of what was stored with it, per agent and hour.",
    ),
    uplinkLost: rate(0, "The agent's uplink is down for up to ten minutes, per agent and hour."),
    discharged: rate(0, "The agent's battery runs empty and is charged, per agent and hour."),
    receiverLost: rate(0, "The receiver can not be reached for up to ten minutes, per hour."),
    partitioned: rate(
      0,
      "The agents fall apart into two or three groups for up to five minutes, per hour.",
    ),
    partitionedOneWay: rate(
      0,
      "Some agents are not heard by the rest, which they do hear, for up to three minutes, per hour.",
    ),
    stormy: rate(0, "Loss of 30 % and triple delay for up to two minutes, per hour."),
  },
  closed("What goes wrong while the faults last."),
);

const scenarioSchema = Type.Object(
  {
    agents: Type.Integer({
      default: 50,
      minimum: 1,
      maximum: 1_000_000,
      description: "Agents at the beginning.",
    }),
    hours: Type.Number({
      default: 1,
      exclusiveMinimum: 0,
      maximum: 100_000,
      description: "Virtual hours before the healing begins.",
    }),
    membersMax: Type.Integer({
      default: 256,
      minimum: 16,
      maximum: 100_000,
      description: "`mesh.limits.membersMax` of every agent: what it remembers of the fleet.",
    }),
    readings: Type.Object(
      {
        perHour: rate(60, "Readings per stream and hour; 0: none."),
        streams: Type.Integer({
          default: 2,
          minimum: 1,
          maximum: 100,
          description: "Streams per agent.",
        }),
        bytes: Type.Integer({
          default: 32,
          minimum: 24,
          maximum: 65_536,
          description: "Payload of a reading.",
        }),
      },
      closed("What sensors publish."),
    ),
    outboxBytesMax: Type.Integer({
      default: 1_048_576,
      minimum: 65_536,
      description: "`outbox.bytesMax` of every agent.",
    }),
    outboxEvict: Type.Enum(["drop-oldest", "reject"], {
      default: "drop-oldest",
      description: "`outbox.evict` of every agent: what gives way when the outbox is full.",
    }),
    uplinks: share(
      1,
      "Share of the agents that have an uplink of their own; the others send through neighbours.",
    ),
    consensus: Type.Enum(["off", "raft", "pbft", "tendermint"], {
      default: "off",
      description:
        "`consensus.protocol` of every agent; people then put values before the committee and vote on them.",
    }),
    learning: learningScenario,
    batteries: share(0, "Share of the agents that run on a battery."),
    network: Type.Object(
      {
        latencyMsMin: Type.Number({
          default: 1,
          minimum: 0,
          maximum: 60_000,
          description: "Shortest way between two agents.",
        }),
        latencyMsMax: Type.Number({
          default: 30,
          minimum: 0,
          maximum: 60_000,
          description: "Longest way between two agents.",
        }),
        lossPercent: percent(1, "Frames that are lost and sent again by the link."),
        breakPercent: percent(0, "Frames that are the last of their link."),
        datagramLossPercent: percent(0, "Membership's messages that are lost for good."),
        datagramDuplicatePercent: percent(0, "Membership's messages that come twice."),
        datagramReorderPercent: percent(0, "Membership's messages that later ones overtake."),
      },
      closed("The space between the agents."),
    ),
    intensity: Type.Number({
      default: 1,
      minimum: 0,
      maximum: 1_000,
      description: "All faults and the churn come about this many times as often.",
    }),
    receiver: Type.Object(
      {
        latencyMs: Type.Number({
          default: 50,
          minimum: 0,
          maximum: 600_000,
          description: "There and back.",
        }),
        lostAcknowledgementPercent: percent(
          0,
          "Updates that arrive, and whose acknowledgement is lost with the connection.",
        ),
        busyPercent: percent(0, "Updates that the receiver does not take right now."),
      },
      closed("Where the readings go."),
    ),
    churnPercentPerHour: Type.Number({
      default: 0,
      minimum: 0,
      maximum: 1_000,
      description: "Agents that go for good and are replaced by new ones.",
    }),
    joinWithinSeconds: Type.Number({
      default: 30,
      exclusiveMinimum: 0,
      maximum: 36_000,
      description:
        "Where no fault is planned, and the tables hold the fleet, all know all within this time after the last came.",
    }),
    faults: faultOptions,
    healWithinMinutes: Type.Number({
      default: 30,
      exclusiveMinimum: 0,
      maximum: 10_000,
      description: "After the faults everything has to be as it should within this time.",
    }),
  },
  { additionalProperties: false },
);

/** What happens in a simulated world; everything else follows from the seed. */
export type Scenario = Type.Static<typeof scenarioSchema>;

/** How often each kind of fault comes about. */
export type FaultRates = Scenario["faults"];

/** The scenario can not be used; `message` names every key. */
export class ScenarioError extends Error {
  override readonly name = "ScenarioError";
}

const everyFault: FaultRates = {
  killed: 2,
  powerLost: 1,
  stopped: 0.5,
  stalled: 1,
  clockJumped: 0.5,
  clogged: 1,
  diskFull: 0.3,
  diskFailing: 0.3,
  diskDamaged: 0.05,
  uplinkLost: 1,
  discharged: 0.2,
  receiverLost: 1,
  partitioned: 2,
  partitionedOneWay: 2,
  stormy: 2,
};

const everything = {
  uplinks: 0.7,
  batteries: 0.3,
  churnPercentPerHour: 10,
  receiver: { latencyMs: 1_000, lostAcknowledgementPercent: 2, busyPercent: 1 },
  network: {
    lossPercent: 3,
    breakPercent: 0.05,
    datagramLossPercent: 5,
    datagramDuplicatePercent: 2,
    datagramReorderPercent: 2,
  },
  faults: everyFault,
};

/** A fleet learns meanwhile. */
const learningFleet = {
  ...everything,
  hours: 0.1,
  intensity: 6,
  consensus: "raft",
  readings: { perHour: 6, streams: 1 },
  batteries: 0.2,
  churnPercentPerHour: 30,
};

/** Scenarios that are there by name. */
export const scenarios: Readonly<
  Record<string, { readonly about: string; readonly document: object }>
> = {
  calm: { about: "nothing goes wrong", document: {} },
  scale: {
    about: "1 % loss and 5 % churn an hour, few readings",
    document: { churnPercentPerHour: 5, readings: { perHour: 6, streams: 1 } },
  },
  everything: { about: "every fault there is, all the time", document: everything },
  committee: {
    about: "every fault, and a committee that decides meanwhile",
    document: {
      ...everything,
      agents: 10,
      hours: 0.05,
      intensity: 8,
      consensus: "raft",
      readings: { perHour: 6, streams: 1 },
      batteries: 0.2,
      churnPercentPerHour: 60,
      faults: { ...everyFault, diskDamaged: 0.3 },
    },
  },
  learning: {
    about: "every fault, and a fleet that learns meanwhile",
    document: {
      ...learningFleet,
      agents: 12,
      learning: { trains: "model", faultyAgents: 1 },
    },
  },
  "learning-thousand": {
    about: "1,000 agents that learn a small real model, with every fault",
    document: {
      ...learningFleet,
      agents: 1_000,
      learning: { trains: "model", gatherSeconds: 5, faultyAgents: 10 },
    },
  },
  "learning-ten-thousand": {
    about: "10,000 agents that learn, of which 256 are asked each round, with every fault",
    document: {
      ...learningFleet,
      agents: 10_000,
      hours: 0.05,
      learning: { trains: "stand-in", gatherSeconds: 5, agentsMax: 256, faultyAgents: 10 },
    },
  },
};

/** @returns the scenario of a document, with defaults filled in @throws ScenarioError */
export function resolveScenario(document: unknown, source: string): Scenario {
  if (typeof document !== "object" || document === null || Array.isArray(document))
    throw new ScenarioError(`${source} must hold keys and values, such as \`agents: 50\``);
  const filled: unknown = Default(scenarioSchema, Clone(document));
  const faults = [...describeFaults(scenarioSchema, filled)];
  const scenario = filled as Scenario;
  if (faults.length === 0 && scenario.network.latencyMsMin > scenario.network.latencyMsMax)
    faults.push("network.latencyMsMin is more than network.latencyMsMax");
  if (faults.length === 0 && scenario.learning.trains !== "nothing" && scenario.consensus === "off")
    faults.push("learning.trains needs a committee: set consensus to raft, pbft or tendermint");
  if (faults.length > 0)
    throw new ScenarioError(
      [`${source} can not be used:`, ...faults.map((each) => `  ${each}`)].join("\n"),
    );
  return scenario;
}
