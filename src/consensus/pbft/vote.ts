import type { Hasher } from "../../platform/hasher.ts";
import {
  areSameBytes,
  type ByteReader,
  ByteWriter,
  DIGEST_BYTES,
  MalformedError,
} from "./bytes.ts";
import type { Credentials, SignatureCheck } from "./credentials.ts";
import type { Group } from "./group.ts";

/**
 * What a vote says. `pre-prepare`, `prepare`, `commit`: the batch of the digest at this view and sequence number.
 * `checkpoint`: the state has the digest after this sequence number (its view is 0). The others put their maker's name
 * under a longer message with the digest.
 */
export const VOTE_KINDS = [
  "pre-prepare",
  "prepare",
  "commit",
  "checkpoint",
  "view-change",
  "new-view",
  "status",
  "fetch",
] as const;

/** See {@link VOTE_KINDS}. */
export type VoteKind = (typeof VOTE_KINDS)[number];

/** What is signed. */
export interface Statement {
  readonly kind: VoteKind;
  readonly view: number;
  readonly sequence: number;
  readonly digest: string;
}

/** A signed statement of one replica. */
export interface Vote extends Statement {
  /** Place of the replica in the group. */
  readonly signer: number;
  readonly signature: Uint8Array;
}

/** Signatures have this size at most. */
export const SIGNATURE_BYTES_MAX = 128;
/** Checked votes remembered; about two windows of a group of ten. */
const CHECKED_MAX = 4_096;
const KIND_CODES = new Map(VOTE_KINDS.map((kind, code) => [kind, code]));

function statementBytes(group: Group, { kind, view, sequence, digest }: Statement): Uint8Array {
  return new ByteWriter(group.id.length + 17 + DIGEST_BYTES)
    .raw(group.id)
    .u8(KIND_CODES.get(kind) ?? 0)
    .u53(view)
    .u53(sequence)
    .digest(digest)
    .finish();
}

/** Writes a vote as it travels. */
export function writeVote(writer: ByteWriter, vote: Vote): ByteWriter {
  return writer
    .u8(KIND_CODES.get(vote.kind) ?? 0)
    .u53(vote.view)
    .u53(vote.sequence)
    .digest(vote.digest)
    .u8(vote.signer)
    .sized(vote.signature);
}

/** @throws MalformedError */
export function readVote(reader: ByteReader): Vote {
  const kind = VOTE_KINDS[reader.u8()];
  if (kind === undefined) throw new MalformedError("no such kind of vote");
  return {
    kind,
    view: reader.u53(),
    sequence: reader.u53(),
    digest: reader.digest(),
    signer: reader.u8(),
    signature: reader.sized(SIGNATURE_BYTES_MAX),
  };
}

/** Checks votes, and remembers those it found genuine, so that none of them is checked again in a certificate. */
export class VoteCheck {
  readonly group: Group;
  readonly hasher: Hasher;
  readonly #check: SignatureCheck;
  /** Two generations: the older one goes when the younger is full. */
  #young = new Map<string, Uint8Array>();
  #old = new Map<string, Uint8Array>();

  constructor(group: Group, check: SignatureCheck, hasher: Hasher) {
    this.group = group;
    this.hasher = hasher;
    this.#check = check;
  }

  /** @returns whether a member made this vote */
  isGenuine(vote: Vote): boolean {
    const member = this.group.members[vote.signer];
    if (member === undefined) return false;
    const key = keyOf(vote);
    const known = this.#young.get(key) ?? this.#old.get(key);
    if (known !== undefined && areSameBytes(known, vote.signature)) return true;
    const bytes = statementBytes(this.group, vote);
    if (!this.#check.isVoteOf(member, bytes, vote.signature)) return false;
    this.#remember(key, vote.signature);
    return true;
  }

  /** Makes a vote of one's own. */
  sign(credentials: Credentials, signer: number, statement: Statement): Vote {
    const signature = credentials.signVote(statementBytes(this.group, statement));
    const { kind, view, sequence, digest } = statement;
    const vote = { kind, view, sequence, digest, signer, signature };
    this.#remember(keyOf(vote), signature);
    return vote;
  }

  #remember(key: string, signature: Uint8Array): void {
    if (this.#young.size >= CHECKED_MAX) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, signature);
  }
}

function keyOf({ kind, view, sequence, signer, digest }: Vote): string {
  return `${kind}/${view}/${sequence}/${signer}/${digest}`;
}
