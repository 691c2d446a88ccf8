import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { fromHex, toHex } from "../../platform/hex.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import {
  type BallotWord,
  BallotWordSchema,
  type SignedBallotWord,
} from "../../wire/agent_mesh/v1/agreement_pb.ts";
import {
  DEADLINE_MS_MAX,
  ENTRY_BYTES_MAX,
  ID_BYTES,
  REASON_BYTES_MAX,
  TOPIC_CHARACTERS_MAX,
  VALUE_BYTES_MAX,
} from "./limits.ts";
import { peerOf } from "./member-list.ts";

const PURPOSE = "agent-mesh/consensus/ballot/1";
const DIGEST_BYTES = 32;
const READ_OPTIONS = { readUnknownFields: false } as const;
const TOPIC = new RegExp(`^[a-z0-9][a-z0-9./-]{0,${TOPIC_CHARACTERS_MAX - 1}}$`);
const utf8 = new TextEncoder();

/** What a member says to a proposal. */
export type Choice = "accept" | "reject";

/** A value that its proposer wants to have decided. */
export interface ProposeBody {
  readonly kind: "propose";
  readonly topic: string;
  readonly value: Uint8Array;
  readonly expiresAfterMs: number;
  /** Number of the last decision that the proposer knows. */
  readonly after: number;
}

/** A vote on the value with the digest. */
export interface VoteBody {
  readonly kind: "vote";
  /** SHA-256, 64 hexadecimal digits. */
  readonly digest: string;
  readonly choice: Choice;
  readonly reason: string;
}

/** What a member can say about a proposal. `expire`: its time is over; `cancel`: its proposer wants no decision any more. */
export type WordBody =
  | ProposeBody
  | VoteBody
  | { readonly kind: "expire" }
  | { readonly kind: "cancel" };

/** A word as it travels: the member's raw key, the encoded word, and the member's signature. */
export type SignedWord = Pick<SignedBallotWord, "publicKey" | "word" | "signature">;

/** A word that was read. Whether its speaker has signed it, {@link isGenuine} tells. */
export interface Word<Body extends WordBody = WordBody> {
  readonly proposalId: string;
  readonly speaker: PeerId;
  readonly body: Body;
  readonly signed: SignedWord;
}

/** @returns whether a proposal may have that topic */
export function isTopic(topic: string): boolean {
  return TOPIC.test(topic);
}

/** Signs a word. @param group 32 hexadecimal digits @throws RangeError when others would not take it */
export function signWord<Body extends WordBody>(
  signer: Signer,
  group: string,
  proposalId: string,
  body: Body,
): Word<Body> {
  const word = toBinary(
    BallotWordSchema,
    create(BallotWordSchema, {
      group: fromHex(group),
      proposalId: fromHex(proposalId),
      body: fieldsOf(body),
    }),
  );
  if (bodyOf(fromBinary(BallotWordSchema, word, READ_OPTIONS).body) === undefined)
    throw new RangeError(`there is no such ${body.kind}`);
  const { publicKey, peerId } = signer;
  const signed = { publicKey, word, signature: signer.sign(PURPOSE, word) };
  return { proposalId, speaker: peerId, body, signed };
}

/** Reads a word; the signature is not looked at. Keeps nothing of the bytes it was given. Never throws. */
export function readWord(
  keys: Pick<Signer, "peerIdOf" | "publicKeyOf">,
  group: string,
  signed: SignedWord,
): Word | "malformed" | "other-group" {
  const speaker = peerOf(keys, signed.publicKey);
  if (speaker === undefined || signed.word.length > ENTRY_BYTES_MAX) return "malformed";
  // A copy: what is read from it stays, and what it came in may be large, or used again.
  const word = signed.word.slice();
  let read: BallotWord;
  try {
    read = fromBinary(BallotWordSchema, word, READ_OPTIONS);
  } catch {
    // What the decoder throws depends on the bytes; to us it is all the same.
    return "malformed";
  }
  const body = bodyOf(read.body);
  if (body === undefined || read.proposalId.length !== ID_BYTES) return "malformed";
  if (toHex(read.group) !== group) return "other-group";
  const [publicKey, signature] = [signed.publicKey.slice(), signed.signature.slice()];
  return {
    proposalId: toHex(read.proposalId),
    speaker,
    body,
    signed: { publicKey, word, signature },
  };
}

/** @returns whether its speaker signed it */
export function isGenuine(verifier: Pick<Signer, "verify">, { signed }: Word): boolean {
  return verifier.verify(signed.publicKey, PURPOSE, signed.word, signed.signature);
}

/** @returns the text, without its end where it is too long for a reason */
export function reasonOf(text: string): string {
  if (utf8.encode(text).length <= REASON_BYTES_MAX) return text.toWellFormed();
  const cut = new Uint8Array(REASON_BYTES_MAX);
  const { read } = utf8.encodeInto(text, cut);
  return text.slice(0, read).toWellFormed();
}

function fieldsOf(body: WordBody) {
  switch (body.kind) {
    case "propose": {
      const { topic, value, expiresAfterMs, after } = body;
      const fields = { topic, value, expiresAfterMs: BigInt(expiresAfterMs), after: BigInt(after) };
      return { case: "propose", value: fields } as const;
    }
    case "vote": {
      const { digest, choice, reason } = body;
      const fields = { digest: fromHex(digest), accept: choice === "accept", reason };
      return { case: "vote", value: fields } as const;
    }
    case "expire":
      return { case: "expire", value: {} } as const;
    case "cancel":
      return { case: "cancel", value: {} } as const;
    default:
      return body satisfies never;
  }
}

function bodyOf(read: BallotWord["body"]): WordBody | undefined {
  switch (read.case) {
    case "propose": {
      const { topic, value } = read.value;
      const expiresAfterMs = Number(read.value.expiresAfterMs);
      const after = Number(read.value.after);
      if (!isTopic(topic) || value.length > VALUE_BYTES_MAX) return undefined;
      if (expiresAfterMs < 1 || expiresAfterMs > DEADLINE_MS_MAX) return undefined;
      return { kind: "propose", topic, value, expiresAfterMs, after };
    }
    case "vote": {
      const { digest, accept, reason } = read.value;
      if (digest.length !== DIGEST_BYTES) return undefined;
      if (utf8.encode(reason).length > REASON_BYTES_MAX) return undefined;
      return { kind: "vote", digest: toHex(digest), choice: accept ? "accept" : "reject", reason };
    }
    case "expire":
    case "cancel":
      return { kind: read.case };
    case undefined:
    default:
      return undefined;
  }
}
