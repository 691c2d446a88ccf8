/** The conformance suite over WebRTC, in a process of its own: `test/conformance/network-webrtc.test.ts` runs it. */
import t from "tap";
import { networkConformance } from "../conformance/network.ts";
import { libp2pNodes } from "./libp2p-under-test.ts";

networkConformance(
  t,
  "libp2p over WebRTC-Direct",
  libp2pNodes({ transports: ["webrtc"], listen: ["/ip4/127.0.0.1/udp/0/webrtc-direct"] }),
  // A packet for a listener that was closed in this same process ends it (SIGSEGV in node-datachannel).
  { gone: "untested" },
);

// Threads of node-datachannel outlive the connections now and then.
t.teardown(() => setTimeout(() => process.exit(), 200).unref());
