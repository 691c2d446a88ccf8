import t from "tap";
import { openRaftOrdering } from "../../src/consensus/raft-member/raft-ordering.ts";
import { MemoryOrder, MemoryOrdering } from "../support/agreement/memory-ordering.ts";
import { agreementConformance } from "./agreement.ts";

for (const [protocol, founders] of [
  ["raft", 3],
  ["pbft", 4],
] as const)
  agreementConformance(t, `an order in memory, as with ${protocol}`, founders, () => {
    const order = new MemoryOrder();
    return {
      protocol,
      open: (parts, isConnected) => {
        order.isConnected = isConnected;
        return Promise.resolve(new MemoryOrdering(parts, order, protocol));
      },
    };
  });

agreementConformance(t, "raft", 3, () => ({
  protocol: "raft",
  open: (parts) => openRaftOrdering(parts),
}));
