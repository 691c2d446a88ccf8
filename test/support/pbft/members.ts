import { type Credentials, signerCredentials } from "../../../src/consensus/pbft/credentials.ts";
import { Group } from "../../../src/consensus/pbft/group.ts";
import { nodeHasher } from "../../../src/platform/node/hasher.ts";
import type { Signer } from "../../../src/platform/signer.ts";
import { VirtualKeys } from "../../../src/simulator/virtual-signer.ts";

/** A group with the keys of its members and of its clients, in the order of the group. */
export interface Members {
  readonly keys: VirtualKeys;
  readonly group: Group;
  readonly signers: readonly Signer[];
  readonly credentials: readonly Credentials[];
}

/** @returns the same group for the same size */
export function membersOf(size: number): Members {
  const keys = new VirtualKeys();
  const signers = Array.from({ length: size }, (_, at) => keys.signer(`replica-${at}`));
  const group = new Group(
    "test",
    signers.map(({ peerId }) => peerId),
    nodeHasher,
  );
  signers.sort(
    (left, right) => (group.indexOf(left.peerId) ?? 0) - (group.indexOf(right.peerId) ?? 0),
  );
  return { keys, group, signers, credentials: signers.map((signer) => signerCredentials(signer)) };
}
