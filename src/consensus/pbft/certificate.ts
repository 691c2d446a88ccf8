import type { ByteReader, ByteWriter } from "./bytes.ts";
import { SIGNATURE_BYTES_MAX, type Vote, type VoteCheck, type VoteKind } from "./vote.ts";

/** One replica's name under what a certificate says. */
export interface SignedBy {
  /** Place of the replica in the group. */
  readonly signer: number;
  readonly signature: Uint8Array;
}

/**
 * A quorum of votes for the same: of commits it proves that the batch with the digest has this sequence number for ever,
 * of checkpoints that the state has the digest after it. Whoever knows the members can check it alone.
 */
export interface Certificate {
  readonly kind: "commit" | "checkpoint";
  readonly view: number;
  readonly sequence: number;
  readonly digest: string;
  readonly signatures: readonly SignedBy[];
}

/**
 * A pre-prepare and the prepares of enough others to make a quorum with it: no other batch can have been prepared in this
 * view with this sequence number.
 */
export interface PreparedCertificate {
  readonly view: number;
  readonly sequence: number;
  readonly digest: string;
  /** The primary's name under the pre-prepare. */
  readonly proposal: Uint8Array;
  readonly prepares: readonly SignedBy[];
}

/** Gathers the votes for one digest. @returns as many as asked for, undefined while there are fewer */
export function gather(
  votes: readonly (Vote | undefined)[],
  digest: string,
  count: number,
): readonly SignedBy[] | undefined {
  const signatures: SignedBy[] = [];
  for (const vote of votes) {
    if (vote?.digest !== digest) continue;
    signatures.push({ signer: vote.signer, signature: vote.signature });
    if (signatures.length === count) return signatures;
  }
  return undefined;
}

/** @returns whether a quorum of the members signed this */
export function isCertified(certificate: Certificate, check: VoteCheck): boolean {
  const { kind, signatures } = certificate;
  return (
    signatures.length >= check.group.quorum && areVotesFor(certificate, kind, signatures, check)
  );
}

/** @returns whether it proves what it says */
export function isPrepared(certificate: PreparedCertificate, check: VoteCheck): boolean {
  const { group } = check;
  const { view, proposal, prepares } = certificate;
  const primary = group.primaryOf(view);
  if (prepares.length < group.quorum - 1) return false;
  if (prepares.some(({ signer }) => signer === primary)) return false;
  const proposed = [{ signer: primary, signature: proposal }];
  return (
    areVotesFor(certificate, "pre-prepare", proposed, check) &&
    areVotesFor(certificate, "prepare", prepares, check)
  );
}

function areVotesFor(
  { view, sequence, digest }: Omit<Certificate, "kind" | "signatures">,
  kind: VoteKind,
  signatures: readonly SignedBy[],
  check: VoteCheck,
): boolean {
  if (new Set(signatures.map(({ signer }) => signer)).size !== signatures.length) return false;
  return signatures.every((signed) => check.isGenuine({ kind, view, sequence, digest, ...signed }));
}

/** Writes a certificate as it travels; the kind comes from where it stands. */
export function writeCertificate(writer: ByteWriter, certificate: Certificate): ByteWriter {
  const { view, sequence, digest, signatures } = certificate;
  return writeSignatures(writer.u53(view).u53(sequence).digest(digest), signatures);
}

/** @throws MalformedError */
export function readCertificate(
  reader: ByteReader,
  kind: Certificate["kind"],
  membersMax: number,
): Certificate {
  const [view, sequence, digest] = [reader.u53(), reader.u53(), reader.digest()];
  return { kind, view, sequence, digest, signatures: readSignatures(reader, membersMax) };
}

/** Writes a prepared certificate as it travels. */
export function writePrepared(writer: ByteWriter, certificate: PreparedCertificate): ByteWriter {
  const { view, sequence, digest, proposal, prepares } = certificate;
  writer.u53(view).u53(sequence).digest(digest).sized(proposal);
  return writeSignatures(writer, prepares);
}

/** @throws MalformedError */
export function readPrepared(reader: ByteReader, membersMax: number): PreparedCertificate {
  return {
    view: reader.u53(),
    sequence: reader.u53(),
    digest: reader.digest(),
    proposal: reader.sized(SIGNATURE_BYTES_MAX),
    prepares: readSignatures(reader, membersMax),
  };
}

function writeSignatures(writer: ByteWriter, signatures: readonly SignedBy[]): ByteWriter {
  writer.u32(signatures.length);
  for (const { signer, signature } of signatures) writer.u8(signer).sized(signature);
  return writer;
}

function readSignatures(reader: ByteReader, membersMax: number): SignedBy[] {
  const count = reader.count(membersMax);
  const signatures: SignedBy[] = [];
  while (signatures.length < count)
    signatures.push({ signer: reader.u8(), signature: reader.sized(SIGNATURE_BYTES_MAX) });
  return signatures;
}
