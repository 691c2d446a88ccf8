import t from "tap";
import { libp2pNodes } from "../support/libp2p-under-test.ts";
import { networkConformance } from "./network.ts";

networkConformance(
  t,
  "libp2p over WebSocket",
  libp2pNodes({ transports: ["ws"], listen: ["/ip4/127.0.0.1/tcp/0/ws"] }),
);
networkConformance(
  t,
  "libp2p over QUIC",
  libp2pNodes({ transports: ["quic"], listen: ["/ip4/127.0.0.1/udp/0/quic-v1"] }),
  // Over UDP nobody says that nobody is there.
  { gone: "network.timeout" },
);
