import * as Type from "typebox";
import { count, named } from "./common.ts";

const peerId = Type.String({ description: "Peer id." });
const agentId = Type.String({ description: "The agent's own name." });
const route = (description: string) => Type.Array(peerId, { description });

/** A neighbour that this agent relays for. */
export const relayGuest = Type.Object(
  {
    peerId,
    agentId,
    connected: Type.Boolean({ description: "It hands over now." }),
    seenMsAgo: Type.Number({ minimum: 0, description: "Time since it last began to." }),
    updates: count("Updates stored for it and not delivered."),
    bytes: count("Bytes of these on disk."),
    streams: count("Streams of it that are remembered."),
    taken: count("Updates stored for it since this agent started."),
    takenBytes: count("Payload bytes of these."),
    repeated: count("Updates that were handed over again and known already."),
    delivered: count("Updates delivered upstream."),
    dead: count("Updates refused upstream for good; the guest has them as dead letters."),
    refused: Type.Record(Type.String(), Type.Integer({ minimum: 0 }), {
      description: "Times that it was told to come later, by code.",
    }),
  },
  { $id: "RelayGuest" },
);

/** A neighbour that relays for this agent. */
export const relayHost = Type.Object(
  {
    uplink: Type.String({ description: "Name of the uplink that leads through it." }),
    peerId,
    agentId,
    hops: count("Agents on the way, it included."),
    route: route("Their peer ids, it first."),
    updates: count("Updates handed over and not yet delivered."),
    stored: count("Of these, on its disk."),
  },
  { $id: "RelayHost" },
);

/** GET /v1/relay. */
export const relay = Type.Object(
  {
    enabled: Type.Boolean({ description: "This agent relays for others when it can." }),
    offering: Type.Boolean({ description: "It does now." }),
    reason: Type.Optional(Type.String({ description: "Why not." })),
    route: route("Peer ids of the agents behind it on the way to an uplink, while it relays."),
    bytes: count("Bytes of guests' updates on disk."),
    bytesMax: count("As many as are kept at most."),
    guestsMax: count("Guests at once."),
    guests: Type.Array(named(relayGuest)),
    forgotten: count("Updates of guests that were lost here; their guests hand them over again."),
    hosts: Type.Array(named(relayHost), { description: "Who relays for this agent." }),
  },
  { $id: "Relay" },
);
