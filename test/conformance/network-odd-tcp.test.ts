import { randomBytes } from "node:crypto";
import t from "tap";
import { libp2pNodes } from "../support/libp2p-under-test.ts";
import { networkConformance } from "./network.ts";

const networkKey = Buffer.from(
  `/key/swarm/psk/1.0.0/\n/base16/\n${randomBytes(32).toString("hex")}`,
  "utf8",
);

networkConformance(t, "libp2p in a private network", libp2pNodes({ networkKey }));
networkConformance(t, "libp2p over mplex", libp2pNodes({ muxers: ["mplex"] }));
