import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Hasher } from "../../platform/hasher.ts";
import { fromHex, toHex } from "../../platform/hex.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import {
  type BallotBoxState,
  BallotBoxStateSchema,
  DecisionOutcome,
  type KeptDecision,
  type OpenBallot,
} from "../../wire/agent_mesh/v1/agreement_pb.ts";
import type { OrderingProtocol } from "../ordering/ordering.ts";
import type { Kept } from "./archive.ts";
import { Ballot } from "./ballot.ts";
import { readSignatures } from "./certificate.ts";
import type { Outcome } from "./decision.ts";
import type { Evidence } from "./evidence.ts";
import { ID_BYTES } from "./limits.ts";
import {
  type KeyNames,
  keyOf,
  type MemberList,
  peerOf,
  readMemberList,
  writeMemberList,
} from "./member-list.ts";
import { readWord, type SignedWord, type Word } from "./word.ts";

const VERSION = 1;
const UNREADABLE = "the state of the ballots can not be read";
const OUTCOMES: Readonly<Record<number, Outcome>> = {
  [DecisionOutcome.ACCEPTED]: "accepted",
  [DecisionOutcome.REJECTED]: "rejected",
  [DecisionOutcome.CANCELLED]: "cancelled",
  [DecisionOutcome.EXPIRED]: "expired",
};
const OUTCOME_NUMBERS: Readonly<Record<Outcome, DecisionOutcome>> = {
  accepted: DecisionOutcome.ACCEPTED,
  rejected: DecisionOutcome.REJECTED,
  cancelled: DecisionOutcome.CANCELLED,
  expired: DecisionOutcome.EXPIRED,
};

/** All that a ballot box knows. */
export interface BoxState {
  readonly present: MemberList;
  readonly open: readonly Ballot[];
  readonly decided: number;
  readonly kept: readonly Kept[];
  /** Changes of members that are kept for their own sake. */
  readonly links: readonly Kept[];
  /** Ids of what was decided last, in order. */
  readonly recent: Iterable<string>;
  readonly evidence: readonly Evidence[];
}

/** What a state is read with. */
export interface BoxReading {
  readonly group: string;
  readonly protocol: OrderingProtocol;
  readonly verifier: Pick<Signer, "peerIdOf" | "publicKeyOf">;
  readonly hasher: Hasher;
}

/** @returns the state, the same bytes for the same state */
export function encodeBox(keys: KeyNames, state: BoxState): Uint8Array {
  const { present, open, decided, kept, links, recent, evidence } = state;
  const lists = new Map<number, MemberList>();
  for (const { list } of [...links, ...kept, ...open]) lists.set(list.epoch, list);
  lists.delete(present.epoch);
  const sorted = [...lists.values()].sort((one, other) => one.epoch - other.epoch);
  return toBinary(
    BallotBoxStateSchema,
    create(BallotBoxStateSchema, {
      version: VERSION,
      decided: BigInt(decided),
      lists: [...sorted, present].map((list) => writeMemberList(keys, list)),
      open: open.map((ballot) => ({
        proposal: ballot.word.signed,
        epoch: BigInt(ballot.list.epoch),
        votes: Array.from(ballot.votes, ({ signed }) => signed),
        expired: Array.from(ballot.expired, (peer) => keyOf(keys, peer)),
      })),
      kept: kept.map((each) => keptFields(keys, each)),
      links: links.map((each) => keptFields(keys, each)),
      recentIds: fromHex([...recent].join("")),
      evidence: evidence.map(({ first, second }) => ({
        first: first.signed,
        second: second.signed,
      })),
    }),
  );
}

/** @returns what {@link encodeBox} wrote; undefined for nothing @throws Error when it is no such thing */
export function decodeBox(reading: BoxReading, bytes: Uint8Array): BoxState | undefined {
  if (bytes.length === 0) return undefined;
  // A copy: what is read from it stays.
  const read = fromBinary(BallotBoxStateSchema, bytes.slice(), { readUnknownFields: false });
  if (read.version !== VERSION) throw new Error(`no ballots of version ${read.version} are known`);
  const lists = listsOf(reading, read);
  const present = lists.at(-1);
  if (present === undefined) throw new Error("the state of the ballots does not name the members");
  const byEpoch = new Map(lists.map((list) => [list.epoch, list]));
  const listOf = (epoch: bigint): MemberList => known(byEpoch.get(Number(epoch)));
  return {
    present,
    decided: Number(read.decided),
    open: read.open.map((each) => ballotOf(reading, each, listOf(each.epoch))),
    kept: read.kept.map((each) => keptOf(reading, each, listOf(each.epoch))),
    links: read.links.map((each) => keptOf(reading, each, listOf(each.epoch))),
    recent: idsOf(read.recentIds),
    evidence: read.evidence.map(({ first, second }): Evidence => {
      const word = wordOf(reading, known(first));
      return { accused: word.speaker, first: word, second: wordOf(reading, known(second)) };
    }),
  };
}

function listsOf({ verifier }: BoxReading, { lists }: BallotBoxState): readonly MemberList[] {
  return lists.map((list) => known(readMemberList(verifier, list)));
}

function ballotOf(reading: BoxReading, read: OpenBallot, list: MemberList): Ballot {
  const word = wordOf(reading, known(read.proposal));
  const { body } = word;
  if (body.kind !== "propose") throw new Error(UNREADABLE);
  const digest = reading.hasher.sha256Hex(body.value);
  const ballot = new Ballot({ ...word, body }, digest, list, reading.protocol);
  for (const signed of read.votes) {
    const vote = wordOf(reading, signed);
    if (vote.body.kind === "vote") ballot.vote({ ...vote, body: vote.body });
  }
  for (const key of read.expired) ballot.expire(known(peerOf(reading.verifier, key)));
  return ballot;
}

function keptFields(keys: KeyNames, { decision, list, signatures }: Kept) {
  const { proposalId, number, topic, value, proposer, outcome, reasons } = decision;
  return {
    proposalId: fromHex(proposalId),
    number: BigInt(number),
    epoch: BigInt(list.epoch),
    topic,
    value,
    ...(proposer !== undefined && { proposer: keyOf(keys, proposer) }),
    outcome: OUTCOME_NUMBERS[outcome],
    signatures: Array.from(signatures, ([signer, signature]) => ({
      publicKey: keyOf(keys, signer),
      signature,
    })),
    reasons: [...reasons],
  };
}

function keptOf(reading: BoxReading, read: KeptDecision, list: MemberList): Kept {
  const { group, verifier, hasher } = reading;
  const proposer = read.proposer.length === 0 ? undefined : known(peerOf(verifier, read.proposer));
  const signatures = known(readSignatures(verifier, read.signatures));
  return {
    list,
    signatures: new Map<PeerId, Uint8Array>(
      signatures.map(({ signer, signature }) => [signer, signature]),
    ),
    decision: Object.freeze({
      group,
      number: Number(read.number),
      proposalId: toHex(read.proposalId),
      topic: read.topic,
      value: read.value,
      digest: hasher.sha256Hex(read.value),
      proposer,
      outcome: known(OUTCOMES[read.outcome]),
      reasons: Object.freeze(read.reasons),
      epoch: list.epoch,
      certificate: undefined,
    }),
  };
}

function wordOf({ verifier, group }: BoxReading, signed: SignedWord): Word {
  const word = readWord(verifier, group, signed);
  return known(typeof word === "string" ? undefined : word);
}

function idsOf(bytes: Uint8Array): string[] {
  const ids: string[] = [];
  for (let at = 0; at < bytes.length; at += ID_BYTES)
    ids.push(toHex(bytes.subarray(at, at + ID_BYTES)));
  return ids;
}

/** @throws Error when it is missing or could not be read */
function known<T>(value: T | undefined): T {
  if (value === undefined) throw new Error(UNREADABLE);
  return value;
}
