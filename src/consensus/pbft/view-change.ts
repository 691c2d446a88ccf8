import { type ByteReader, ByteWriter, decodeAll, MalformedError } from "./bytes.ts";
import {
  type Certificate,
  isCertified,
  isPrepared,
  type PreparedCertificate,
  readCertificate,
  readPrepared,
  writeCertificate,
  writePrepared,
} from "./certificate.ts";
import { type Group, NO_STATE } from "./group.ts";
import type { PbftOptions } from "./options.ts";
import { readVote, type Vote, type VoteCheck, writeVote } from "./vote.ts";

/** Where every replica of a group begins: the state before anything was executed. That needs no signatures. */
export function genesisOf({ genesis }: Pick<Group, "genesis">): Certificate {
  return { kind: "checkpoint", view: 0, sequence: 0, digest: genesis, signatures: [] };
}

/** Where a group begins that is given no state. */
export const GENESIS: Certificate = genesisOf({ genesis: NO_STATE });

/** What a replica says when it leaves its view: everything that may have been decided, with proof. */
export interface ViewChange {
  /** Under the digest of the rest; its view is the one asked for, its sequence number the stable checkpoint's. */
  readonly vote: Vote;
  readonly stable: Certificate;
  /** By sequence number, for each the one of the highest view. */
  readonly prepared: readonly PreparedCertificate[];
  readonly bytes: Uint8Array;
}

/** What a view begins with. */
export interface NewViewPlan {
  readonly stable: Certificate;
  /** Batches of the sequence numbers that follow the stable checkpoint. */
  readonly digests: readonly string[];
}

/** A primary's proof that its view has begun: a quorum of view changes, and its name under what follows from them. */
export interface NewView {
  /** Under the digest of the rest. */
  readonly vote: Vote;
  readonly changes: readonly ViewChange[];
  /** Signatures of pre-prepares, in the order of the plan. */
  readonly proposals: readonly Uint8Array[];
  readonly bytes: Uint8Array;
}

/** A view change without its vote, as it is signed. */
export function viewChangeContent(
  view: number,
  stable: Certificate,
  prepared: readonly PreparedCertificate[],
): Uint8Array {
  const writer = writeCertificate(new ByteWriter(4_096).u53(view), stable).u32(prepared.length);
  for (const certificate of prepared) writePrepared(writer, certificate);
  return writer.finish();
}

/** A new view without its vote, as it is signed. */
export function newViewContent(
  view: number,
  changes: readonly ViewChange[],
  proposals: readonly Uint8Array[],
): Uint8Array {
  const writer = new ByteWriter(16_384).u53(view).u32(changes.length);
  for (const { bytes } of changes) writer.sized(bytes);
  writer.u32(proposals.length);
  for (const signature of proposals) writer.sized(signature);
  return writer.finish();
}

/** Puts a vote and what it is for together. */
export function withVote(vote: Vote, content: Uint8Array): Uint8Array {
  return writeVote(new ByteWriter(256 + content.length), vote)
    .raw(content)
    .finish();
}

/** @returns undefined when it is none, or its vote is for something else; signatures are not checked */
export function decodeViewChange(
  bytes: Uint8Array,
  check: VoteCheck,
  options: PbftOptions,
): ViewChange | undefined {
  const { hasher, group } = check;
  const change = decodeAll(bytes, (reader) => {
    const vote = readVote(reader);
    const start = reader.position;
    const view = reader.u53();
    const stable = readCertificate(reader, "checkpoint", group.size);
    const count = reader.count(options.windowSize);
    const prepared: PreparedCertificate[] = [];
    while (prepared.length < count) prepared.push(readPrepared(reader, group.size));
    if (vote.kind !== "view-change" || vote.view !== view || vote.sequence !== stable.sequence)
      throw new MalformedError("the vote is for something else");
    return { vote, stable, prepared, start };
  });
  if (change === undefined) return undefined;
  const { vote, stable, prepared, start } = change;
  if (hasher.sha256Hex(bytes.subarray(start)) !== vote.digest) return undefined;
  return { vote, stable, prepared, bytes };
}

/** @returns undefined when it is none, or its vote is for something else; signatures are not checked */
export function decodeNewView(
  bytes: Uint8Array,
  check: VoteCheck,
  options: PbftOptions,
): NewView | undefined {
  const newView = decodeAll(bytes, (reader) => {
    const vote = readVote(reader);
    const start = reader.position;
    const view = reader.u53();
    const changes = readChanges(reader, check, options);
    const count = reader.count(options.windowSize);
    const proposals: Uint8Array[] = [];
    while (proposals.length < count) proposals.push(reader.sized(128));
    if (vote.kind !== "new-view" || vote.view !== view)
      throw new MalformedError("the vote is for something else");
    return { vote, changes, proposals, start };
  });
  if (newView === undefined) return undefined;
  const { vote, changes, proposals, start } = newView;
  if (check.hasher.sha256Hex(bytes.subarray(start)) !== vote.digest) return undefined;
  return { vote, changes, proposals, bytes };
}

function readChanges(reader: ByteReader, check: VoteCheck, options: PbftOptions): ViewChange[] {
  const count = reader.count(check.group.size);
  const changes: ViewChange[] = [];
  while (changes.length < count) {
    const bytes = reader.sized(Number.MAX_SAFE_INTEGER);
    const change = decodeViewChange(bytes, check, options);
    if (change === undefined) throw new MalformedError("a view change is none");
    changes.push(change);
  }
  return changes;
}

/** @returns whether a replica may say this: everything in it is proven, and within the window of its checkpoint */
export function isSoundChange(change: ViewChange, check: VoteCheck, options: PbftOptions): boolean {
  const { vote, stable, prepared } = change;
  if (!check.isGenuine(vote) || !isSoundCheckpoint(stable, check, options)) return false;
  let last = stable.sequence;
  for (const { sequence, view } of prepared) {
    if (sequence <= last || sequence > stable.sequence + options.windowSize) return false;
    if (view >= vote.view) return false;
    last = sequence;
  }
  return prepared.every((certificate) => isPrepared(certificate, check));
}

/** @returns whether a state is proven stable */
export function isSoundCheckpoint(
  stable: Certificate,
  check: VoteCheck,
  { checkpointInterval }: PbftOptions,
): boolean {
  const { sequence, digest, view } = stable;
  if (sequence === 0) return digest === check.group.genesis && view === 0;
  return view === 0 && sequence % checkpointInterval === 0 && isCertified(stable, check);
}

/**
 * What follows from the view changes of a quorum, the same for everybody: the latest stable checkpoint, and after it for
 * each sequence number up to the last prepared one the batch that was prepared in the highest view, or the null request
 * (Castro and Liskov 1999, section 4.4, with digests in the place of requests as in TOCS 2002, section 4.5.2).
 */
export function planNewView(
  changes: readonly ViewChange[],
  nullDigest: string,
  genesis = GENESIS,
): NewViewPlan {
  let stable = genesis;
  for (const change of changes)
    if (change.stable.sequence > stable.sequence) stable = change.stable;
  const highest = new Map<number, PreparedCertificate>();
  let last = stable.sequence;
  for (const { prepared } of changes) {
    for (const certificate of prepared) {
      const { sequence, view } = certificate;
      if (sequence <= stable.sequence) continue;
      const known = highest.get(sequence);
      if (known === undefined || known.view < view) highest.set(sequence, certificate);
      last = Math.max(last, sequence);
    }
  }
  const digests: string[] = [];
  for (let sequence = stable.sequence + 1; sequence <= last; sequence++)
    digests.push(highest.get(sequence)?.digest ?? nullDigest);
  return { stable, digests };
}
