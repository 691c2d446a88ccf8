import * as Type from "typebox";
import { meshAccessOptions } from "../access/mesh-access-options.ts";

const port = (value: number, description: string) =>
  Type.Integer({ default: value, minimum: 0, maximum: 65_535, description });

const discoveryOptions = Type.Object(
  {
    mdns: Type.Boolean({
      default: true,
      description:
        "Find neighbours on the same network by multicast DNS. Off by itself while `mesh.host` is loopback.",
    }),
    dht: Type.Boolean({
      default: false,
      description: "Take part in a Kademlia table, and look neighbours up in it.",
    }),
    peerExchange: Type.Boolean({
      default: true,
      description: "Learn of further nodes from neighbours, and tell them of others.",
    }),
    remember: Type.Boolean({
      default: true,
      description: "Keep addresses that worked over restarts, and dial them again.",
    }),
  },
  { additionalProperties: false, default: {}, description: "How neighbours are found." },
);

const limitOptions = Type.Object(
  {
    connectionsMax: Type.Integer({
      default: 64,
      minimum: 2,
      maximum: 4_096,
      description: "Links kept at once, either way.",
    }),
    neighboursWanted: Type.Integer({
      default: 6,
      minimum: 1,
      maximum: 64,
      description: "Links that the node itself sees to; others may open more.",
    }),
    messageBytesMax: Type.Integer({
      default: 1_048_576,
      minimum: 1_024,
      maximum: 4_194_304,
      description: "Largest message or request to a peer, and largest published message.",
    }),
    queueBytesMax: Type.Integer({
      default: 4_194_304,
      minimum: 65_536,
      maximum: 268_435_456,
      description: "Most that waits for one peer that reads slowly.",
    }),
    membersMax: Type.Integer({
      default: 2_048,
      minimum: 16,
      maximum: 100_000,
      description:
        "Agents of the fleet that are known at once; those heard of longest ago give way.",
    }),
  },
  { additionalProperties: false, default: {}, description: "Bounds of everything." },
);

/** Settings under `mesh`. */
export const meshOptions = Type.Object(
  {
    enabled: Type.Optional(
      Type.Boolean({
        description: "Take part in the mesh. Unless set: yes as soon as anything else is set here.",
      }),
    ),
    host: Type.String({
      default: "127.0.0.1",
      minLength: 1,
      maxLength: 45,
      description: "Address to listen on. `0.0.0.0` or `::` lets the whole network in.",
    }),
    port: port(4001, "TCP port, and UDP port of QUIC. 0: any free port, written to run.json."),
    webSocketPort: port(4002, "TCP port of WebSocket, where browsers come in. 0: any free port."),
    webRtcPort: port(4003, "UDP port of WebRTC-Direct. 0: any free port."),
    transports: Type.Array(Type.Enum(["tcp", "ws", "quic", "webrtc"]), {
      default: ["tcp", "ws"],
      minItems: 1,
      maxItems: 4,
      uniqueItems: true,
      description: "Ways in and out.",
    }),
    announce: Type.Array(Type.String({ minLength: 1, maxLength: 256 }), {
      default: [],
      maxItems: 16,
      description:
        "Multiaddresses to tell others instead of those listened on, behind a NAT for example.",
    }),
    bootstrap: Type.Array(Type.String({ minLength: 1, maxLength: 256 }), {
      default: [],
      maxItems: 64,
      description: "Multiaddresses of nodes to begin with, such as `/dns4/hub.example/tcp/4001`.",
    }),
    identityFile: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          "File with the device's identity key (PKCS #8, Ed25519), made if it is not there. Unless set: `identity.pem` in the data directory. Put it where a reflash leaves it alone.",
      }),
    ),
    networkKeyFile: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          "File with the private network's key (`/key/swarm/psk/1.0.0/`); nodes without it can not connect. Not with quic or webrtc.",
      }),
    ),
    discovery: discoveryOptions,
    relay: Type.Object(
      {
        use: Type.Boolean({
          default: true,
          description: "Be reachable through a relay where no direct way is found.",
        }),
        serve: Type.Boolean({
          default: false,
          description: "Relay between neighbours that can not reach each other.",
        }),
      },
      { additionalProperties: false, default: {}, description: "Circuit relay, version 2." },
    ),
    limits: limitOptions,
    access: meshAccessOptions,
  },
  {
    additionalProperties: false,
    default: {},
    description: "Neighbours: links to other agents without any coordinator.",
  },
);

/** @see meshOptions */
export type MeshOptions = Type.Static<typeof meshOptions>;
