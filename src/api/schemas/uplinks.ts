import * as Type from "typebox";
import { count, list } from "./common.ts";

/** One road out. */
export const uplink = Type.Object(
  {
    name: Type.String(),
    kind: Type.Enum(["mqtt", "https", "nats", "sparkplug", "neighbour"]),
    url: Type.String({
      description:
        "Without credentials. Of a neighbour: `mesh:` and the id of the agent it leads through, if there is one.",
    }),
    state: Type.Enum(["connecting", "up", "waiting", "idle", "stopped"]),
    active: Type.Boolean({ description: "True for the one that carries updates now." }),
    reason: Type.Optional(Type.String({ description: "Why it is not up." })),
    retryInMs: Type.Optional(Type.Number({ description: "Time until the next attempt." })),
    attempts: count("Attempts to connect."),
    inFlight: count("Updates sent and not yet acknowledged."),
    inFlightMax: count("How many of those the receiver allows."),
    acknowledged: count("Updates the receiver acknowledged since the agent started."),
    refused: count("Updates the receiver refused since the agent started."),
    skipped: count("Updates that were not sent, since the receiver said that it has them."),
    sentBytes: count("Payload bytes sent since the agent started."),
    wireBytes: count("Bytes on the wire both ways since the agent started."),
    takeovers: count("Times it took the updates over from another uplink."),
    takesGuests: Type.Boolean({
      description: "Updates of neighbours that this agent relays for can travel over it.",
    }),
    dayBytes: Type.Optional(count("Bytes on the wire this UTC day, where they are limited.")),
    dayBytesMax: Type.Optional(count("That limit.")),
    acknowledgedPerSecond: Type.Number({ description: "Over the last ten seconds." }),
    lastRoundTripMs: Type.Optional(
      Type.Number({ description: "From sending to acknowledgement, latest update." }),
    ),
  },
  { $id: "Uplink" },
);

/** GET /v1/uplinks: in order of preference. */
export const uplinks = list("Uplinks", uplink, { paused: Type.Boolean() });
