import type { Protocol } from "../consensus/protocols.ts";
import type { PlantedBug } from "./bugs.ts";
import { pbftBugs } from "./consensus/pbft.ts";
import { raftBugs } from "./consensus/raft.ts";
import { raftMemberBugs } from "./consensus/raft-member.ts";
import { tendermintBugs } from "./consensus/tendermint.ts";

/** A fault in one of the three protocols, or in what runs it. */
export interface ConsensusBug extends PlantedBug {
  readonly protocol: Protocol;
}

/** Every bug planted in a protocol; none is known to the protocols' code. */
export const consensusBugs: readonly ConsensusBug[] = [
  ...raftBugs.map((bug) => ({ ...bug, protocol: "raft" as const })),
  ...raftMemberBugs.map((bug) => ({ ...bug, protocol: "raft-member" as const })),
  ...pbftBugs.map((bug) => ({ ...bug, protocol: "pbft" as const })),
  ...tendermintBugs.map((bug) => ({ ...bug, protocol: "tendermint" as const })),
];
