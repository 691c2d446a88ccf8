import type { Protocol } from "../../platform/network.ts";

/** Carries what the members of PBFT groups say to each other. */
export const PBFT_PROTOCOL: Protocol = {
  id: "/agent-mesh/pbft/1.0.0",
  // A view change with its proofs, or a batch of the largest requests.
  messageBytesMax: 8 * 1_048_576,
  queueBytesMax: 16 * 1_048_576,
  requestsInFlightMax: 1,
};
