import { fromHex, toHex } from "../../platform/hex.ts";
import type { PeerId } from "../../platform/signer.ts";
import { ByteWriter, decodeAll } from "../pbft/bytes.ts";
import { readPeers, writePeers } from "./handover.ts";
import { PEER_BYTES_MAX } from "./operation.ts";

const GROUP_BYTES = 16;
const FORMAT = 1;

/**
 * What somebody who is to become a member has to know. It is told by one member, and believed: from these members on,
 * everything is proven by f + 1 names of the epoch before, the digest of the state to begin with included.
 */
export interface Ticket {
  readonly group: string;
  /** Whom it is for. */
  readonly peer: PeerId;
  readonly epoch: number;
  /** Of that epoch, sorted. */
  readonly members: readonly PeerId[];
}

/** @returns the ticket as it is handed on */
export function encodeTicket({ group, peer, epoch, members }: Ticket): Uint8Array {
  const writer = new ByteWriter(1_024).u8(FORMAT).raw(fromHex(group)).text(peer).u53(epoch);
  return writePeers(writer, members).finish();
}

/** @returns undefined when it is no ticket; never throws */
export function decodeTicket(bytes: Uint8Array): Ticket | undefined {
  const read = decodeAll(bytes, (reader) => ({
    format: reader.u8(),
    group: toHex(reader.raw(GROUP_BYTES)),
    peer: reader.text(PEER_BYTES_MAX),
    epoch: reader.u53(),
    members: readPeers(reader),
  }));
  if (read?.format !== FORMAT) return undefined;
  const { group, peer, epoch, members } = read;
  return { group, peer, epoch, members };
}
