import * as Type from "typebox";
import { count, list, named } from "./common.ts";

const peerId = Type.String({
  description: "Name of the node's identity key: 12D3KooW… (libp2p peer id).",
});
const memberState = Type.Enum(["alive", "suspect", "dead", "left"], {
  description: "`suspect`: no answer lately, counts as living; `left`: it said good-bye.",
});
const milliseconds = (description: string) => Type.Number({ minimum: 0, description });

/** Members by state. */
export const memberCounts = Type.Object(
  {
    alive: count("Agents that answer, this one too."),
    suspect: count("Agents that did not answer lately."),
    dead: count("Agents that did not come back."),
    left: count("Agents that said good-bye."),
    estimated: Type.Object(
      {
        agents: count("Agents of the fleet."),
        relativeError: Type.Number({
          minimum: 0,
          description: "Standard error, as a share; 0 where they were counted.",
        }),
      },
      { description: "Those that this agent has no room for too." },
    ),
  },
  { $id: "MemberCounts" },
);

/** GET /v1/mesh. */
export const mesh = Type.Object(
  {
    enabled: Type.Boolean(),
    peerId: Type.Optional(peerId),
    addresses: Type.Array(Type.String(), {
      description: "Multiaddresses under which others can dial this node.",
    }),
    transports: Type.Array(Type.String()),
    privateNetwork: Type.Boolean({ description: "A private network's key keeps others out." }),
    members: named(memberCounts),
    links: count("Nodes linked now."),
    partitionScore: Type.Number({
      minimum: 0,
      maximum: 1,
      description: "Share of the agents that were there lately and can not be reached now.",
    }),
    bootstrap: Type.Array(
      Type.Object({
        address: Type.String(),
        peer: Type.Optional(peerId),
        fault: Type.Optional(Type.String({ description: "Why it was not reached last time." })),
        attempts: count("Times it was dialled."),
      }),
      { description: "The addresses to begin with, and how they fare." },
    ),
    topics: Type.Array(Type.String(), { description: "Topics listened to." }),
    counters: Type.Object(
      {
        sentBytes: count("Payload bytes."),
        receivedBytes: count("Payload bytes."),
        requestsSent: count("Requests."),
        requestsServed: count("Requests."),
        messagesPublished: count("Messages to topics."),
        messagesDelivered: count("Messages of topics that were new and valid."),
        dials: count("Links that were tried."),
        dialsFailed: count("Links that could not be opened."),
        refusals: Type.Record(Type.String(), Type.Integer({ minimum: 0 }), {
          description: "What was refused to others, by code.",
        }),
      },
      { description: "Since the agent started." },
    ),
  },
  { $id: "Mesh" },
);

/** A neighbour. */
export const meshPeer = Type.Object(
  {
    peerId,
    agentId: Type.Optional(Type.String({ description: "Absent for nodes that are no agents." })),
    direction: Type.Enum(["inbound", "outbound"]),
    transport: Type.Enum(["tcp", "ws", "quic", "webrtc", "relay"]),
    address: Type.String(),
    linkedForMs: milliseconds("How long the link has been open."),
    state: Type.Optional(memberState),
  },
  { $id: "MeshPeer" },
);

/** GET /v1/mesh/peers. */
export const meshPeers = list("MeshPeers", meshPeer, {});

/** POST /v1/mesh/peers. */
export const joinRequest = Type.Object(
  {
    addresses: Type.Array(Type.String({ minLength: 1, maxLength: 256 }), {
      minItems: 1,
      maxItems: 16,
      description: "Multiaddresses, for example `/ip4/192.0.2.7/tcp/4001`.",
    }),
  },
  { additionalProperties: false },
);

/** Answer to POST /v1/mesh/peers. */
export const joined = Type.Object(
  { peers: Type.Array(peerId, { description: "Who answered." }) },
  { $id: "MeshJoined" },
);

/** An agent of the fleet. */
export const fleetAgent = Type.Object(
  {
    agentId: Type.String(),
    peerId: Type.Optional(peerId),
    self: Type.Boolean({ description: "It is the one that answers." }),
    state: memberState,
    forMs: milliseconds("How long it has been in that state."),
    heardOfMsAgo: milliseconds("How long ago it last gave a sign of life."),
    ageMs: milliseconds(
      "How old the evidence for the state is: a sign of life, or for those that are gone the finding of that.",
    ),
    confidence: Type.Number({
      minimum: 0,
      maximum: 1,
      description: "How far the rest can be relied upon now.",
    }),
    linked: Type.Boolean(),
    version: Type.String(),
    addresses: Type.Optional(
      Type.Array(Type.String(), { description: "Absent for those that only a survey found." }),
    ),
    capabilities: Type.Optional(
      Type.Object({
        architecture: Type.String(),
        deviceModel: Type.String(),
        cpuCores: count("Cores."),
        memoryBytes: count("Memory of the device."),
        powerSupply: Type.Enum(["mains", "battery", "unknown"]),
        uplinks: Type.Array(Type.String(), { description: "Kinds of uplinks." }),
        features: Type.Array(Type.String(), { description: "What it offers beyond the base." }),
      }),
    ),
    health: Type.Optional(
      Type.Object({
        status: Type.String({ description: "`ok` or `degraded`." }),
        powerMode: Type.String(),
        batteryPercent: Type.Optional(Type.Number()),
        cpuPercent: Type.Optional(Type.Number()),
        memoryPercent: Type.Optional(Type.Number()),
        temperatureCelsius: Type.Optional(Type.Number()),
        queueUpdates: Type.Optional(count("Updates that wait.")),
        queueBytes: Type.Optional(count("Bytes that wait.")),
        uplinkUp: Type.Optional(Type.Boolean()),
        relayHops: Type.Optional(
          count("It relays; so many agents are on the way to an uplink, it included."),
        ),
      }),
    ),
  },
  { $id: "FleetAgent" },
);

/** GET /v1/fleet/survey. */
export const fleetSurvey = Type.Object(
  {
    number: count("Surveys since the agent started."),
    state: Type.Enum(["running", "done"]),
    found: count("Agents known now."),
    coverage: Type.Number({
      minimum: 0,
      maximum: 1,
      description: "Estimated share of the fleet that was found.",
    }),
    asked: count("Agents that were asked."),
    answered: count("Agents that answered."),
    requests: count("Requests that were sent."),
    bytes: count("Bytes of requests and answers."),
    tookMs: milliseconds("So far, or until the end."),
    ended: Type.Optional(Type.String({ description: "Why it ended; absent while it runs." })),
    endedMsAgo: Type.Optional(milliseconds("How long ago it ended.")),
  },
  { $id: "FleetSurvey" },
);

/** GET /v1/fleet/agents. */
export const fleetAgents = list("FleetAgents", fleetAgent, {
  counts: named(memberCounts),
  survey: Type.Optional(named(fleetSurvey)),
});
