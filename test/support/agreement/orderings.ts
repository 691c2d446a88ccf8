import { openPbftOrdering } from "../../../src/consensus/pbft-member/open.ts";
import { openRaftOrdering } from "../../../src/consensus/raft-member/raft-ordering.ts";
import { openTendermintOrdering } from "../../../src/consensus/tendermint-member/open.ts";
import type { OrderingUnderTest } from "./agreement-world.ts";
import { MemoryOrder, MemoryOrdering } from "./memory-ordering.ts";

function inMemory(protocol: OrderingUnderTest["protocol"]): OrderingUnderTest {
  const order = new MemoryOrder();
  return {
    protocol,
    open: (parts, isConnected) => {
      order.isConnected = isConnected;
      return Promise.resolve(new MemoryOrdering(parts, order, protocol));
    },
  };
}

/** Every ordering that agreements are tested over, with the founders that its suite wants. */
export const orderings: readonly (readonly [string, number, () => OrderingUnderTest])[] = [
  ["an order in memory, as with raft", 3, () => inMemory("raft")],
  ["an order in memory, as with pbft", 4, () => inMemory("pbft")],
  ["raft", 3, () => ({ protocol: "raft", open: (parts) => openRaftOrdering(parts) })],
  ["pbft", 4, () => ({ protocol: "pbft", open: (parts) => openPbftOrdering(parts) })],
  [
    "tendermint",
    4,
    () => ({ protocol: "tendermint", open: (parts) => openTendermintOrdering(parts) }),
  ],
];
