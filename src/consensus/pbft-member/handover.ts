import type { Hasher } from "../../platform/hasher.ts";
import { fromHex } from "../../platform/hex.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import { type ByteReader, ByteWriter, MalformedError } from "../pbft/bytes.ts";
import { MEMBERS_MAX, MEMBERS_MIN } from "../pbft/group.ts";
import { SIGNATURE_BYTES_MAX } from "../pbft/vote.ts";
import { PEER_BYTES_MAX } from "./operation.ts";

/** Keeps what is signed here apart from everything else that the same key signs. */
const PURPOSE = "agent-mesh/pbft/handover/1";

/** How an epoch ended: after which batch, and what the next one begins with. */
export interface Handover {
  readonly epoch: number;
  /** Of the last batch that counts. */
  readonly sequence: number;
  /** Of the next epoch, sorted. */
  readonly members: readonly PeerId[];
  /** Digest of the state that the next epoch begins with. */
  readonly genesis: string;
}

/**
 * A handover with names of members of its epoch under it. f + 1 of them prove it, since one of those is honest and has
 * executed the last batch. Whoever knows the members of one epoch gets from one to the next by them.
 */
export interface SignedHandover {
  readonly handover: Handover;
  readonly signatures: ReadonlyMap<PeerId, Uint8Array>;
}

/** @returns what members sign; the same statement has the same digest */
export function handoverDigest(group: string, handover: Handover, hasher: Hasher): Uint8Array {
  const writer = new ByteWriter(4_096).text(group);
  return fromHex(hasher.sha256Hex(writeHandover(writer, handover).finish()));
}

/** Puts one's own name under a handover. */
export function signHandover(signer: Signer, digest: Uint8Array): Uint8Array {
  return signer.sign(PURPOSE, digest);
}

/** @returns whether this member signed the handover of that digest; never throws */
export function isHandoverOf(
  signer: Signer,
  member: PeerId,
  digest: Uint8Array,
  signature: Uint8Array,
): boolean {
  const key = signer.publicKeyOf(member);
  return key !== undefined && signer.verify(key, PURPOSE, digest, signature);
}

/** Writes a handover with the names under it. */
export function writeSigned(
  writer: ByteWriter,
  { handover, signatures }: SignedHandover,
): ByteWriter {
  writeHandover(writer, handover).u8(signatures.size);
  for (const [peer, signature] of signatures) writer.text(peer).sized(signature);
  return writer;
}

/** @throws MalformedError */
export function readSigned(reader: ByteReader): SignedHandover {
  const handover = {
    epoch: reader.u53(),
    sequence: reader.u53(),
    members: readPeers(reader),
    genesis: reader.digest(),
  };
  const count = reader.u8();
  const signatures = new Map<PeerId, Uint8Array>();
  for (let read = 0; read < count; read++)
    signatures.set(reader.text(PEER_BYTES_MAX), reader.sized(SIGNATURE_BYTES_MAX));
  if (signatures.size !== count) throw new MalformedError("a name is there twice");
  return { handover, signatures };
}

/** Writes the list of members. */
export function writePeers(writer: ByteWriter, peers: readonly PeerId[]): ByteWriter {
  writer.u8(peers.length);
  for (const peer of peers) writer.text(peer);
  return writer;
}

/** @returns a list of members, sorted @throws MalformedError */
export function readPeers(reader: ByteReader): readonly PeerId[] {
  const count = reader.u8();
  if (count < MEMBERS_MIN || count > MEMBERS_MAX) throw new MalformedError("too few, or too many");
  const peers: PeerId[] = [];
  while (peers.length < count) {
    const peer = reader.text(PEER_BYTES_MAX);
    if (peer <= (peers.at(-1) ?? "")) throw new MalformedError("members are not sorted");
    peers.push(peer);
  }
  return peers;
}

function writeHandover(writer: ByteWriter, handover: Handover): ByteWriter {
  const { epoch, sequence, members, genesis } = handover;
  return writePeers(writer.u53(epoch).u53(sequence), members).digest(genesis);
}
