import { fnv1a } from "../../src/mesh/records/fnv1a.ts";
import type { KnownRecord } from "../../src/mesh/records/known-record.ts";
import { Occasion } from "../../src/wire/agent_mesh/v1/record_pb.ts";

/** @returns a record of an agent that says nothing of itself, as if it had been verified */
export function knownRecord(peerId: string, said: Partial<KnownRecord> = {}): KnownRecord {
  return {
    peerId,
    agentId: peerId,
    version: "1",
    epoch: 1,
    sequence: 0,
    addresses: [],
    capabilities: undefined,
    health: undefined,
    leaving: false,
    occasion: Occasion.UNSPECIFIED,
    bytes: new Uint8Array(10),
    hash: fnv1a(peerId),
    ...said,
  };
}
