import t from "tap";
import { libp2pNodes } from "../support/libp2p-under-test.ts";
import { networkConformance } from "./network.ts";

networkConformance(t, "libp2p over TCP, Noise and yamux", libp2pNodes());
networkConformance(t, "libp2p over TCP and TLS", libp2pNodes({ encryptions: ["tls"] }));
