import { pbftSeed } from "./pbft-seed.ts";
import { raftMemberSeed } from "./raft-member-seed.ts";
import { raftSeed } from "./raft-seed.ts";
import type { Running } from "./seed.ts";
import { tendermintSeed } from "./tendermint-seed.ts";

/** What a seed does, for each protocol; for Raft with the cores alone, and with members as they run on devices. */
export const PROTOCOLS = {
  raft: raftSeed,
  "raft-member": raftMemberSeed,
  pbft: pbftSeed,
  tendermint: tendermintSeed,
} as const satisfies Record<string, (running: Running) => void | Promise<void>>;

/** See {@link PROTOCOLS}. */
export type Protocol = keyof typeof PROTOCOLS;

/** @returns whether there is such a protocol */
export function isProtocol(name: string | undefined): name is Protocol {
  return name !== undefined && Object.hasOwn(PROTOCOLS, name);
}
