import * as Type from "typebox";
import { count } from "./common.ts";

const counts = (description: string) =>
  Type.Record(Type.String(), Type.Integer({ minimum: 0 }), { description });
const bridgeId = Type.String({ description: "Names a bridge in the ways of messages." });

const gateway = Type.Object({
  name: Type.String(),
  url: Type.String(),
  state: Type.Enum(["stopped", "connecting", "attached", "waiting"]),
  attempts: count("Failures since the link last stood."),
  attached: count("Links that stood so far."),
  reason: Type.Optional(Type.String({ description: "Why it is not attached." })),
  retryInMs: Type.Optional(
    Type.Number({ minimum: 0, description: "While it waits: when it tries again." }),
  ),
  sentBytes: count("Bytes since the agent started."),
  receivedBytes: count("Bytes since the agent started."),
});

/** GET /v1/bridge. */
export const bridge = Type.Object(
  {
    enabled: Type.Boolean({ description: "It listens, or is to be attached to a gateway." }),
    bridgeId: Type.Optional(bridgeId),
    listen: Type.Optional(
      Type.Object(
        {
          url: Type.String({ description: "`grpc://host:port`, or `grpcs://` with TLS." }),
          connectionsNow: count("Connections."),
          connectionsRefused: count("Connections beyond the bound."),
          callsNow: count("Calls that go on."),
          statuses: counts("Ended calls by gRPC status."),
          refusals: counts("Calls that failed, by code."),
          receivedBytes: count("Message bytes."),
          sentBytes: count("Message bytes."),
        },
        { description: "The door; absent where it does not listen." },
      ),
    ),
    gateways: Type.Array(gateway, { description: "`bridge.connect`, and how each fares." }),
    links: Type.Array(
      Type.Object({
        role: Type.Enum(["gateway", "device"], {
          description: "What this agent is on the link: `gateway` for a device that is attached.",
        }),
        bridgeId,
        peerId: Type.Optional(
          Type.String({ description: "Of an attached device, proven by its signature." }),
        ),
      }),
      { description: "Links that stand." },
    ),
    counters: Type.Object(
      {
        linksNow: count("Links, those included that do not stand yet."),
        subscribersNow: count("Programs that listen to topics."),
        agentsNow: count("Agents known on all sides."),
        messagesUp: count("Messages that left the mesh."),
        messagesDown: count("Messages that came into the mesh."),
        messagesLinked: count("Messages that came in over links."),
        requestsServed: count("Requests that were passed on."),
        repeats: counts("Messages not passed on, since they were here before or came too far."),
        refusals: counts("What did not cross the bridge, by code."),
      },
      { description: "Since the agent started." },
    ),
  },
  { $id: "Bridge" },
);
