import type { Protocol } from "../../platform/network.ts";
import { LostLogError } from "../ordering/lost-log.ts";
import type { Ordering, OrderingParts } from "../ordering/ordering.ts";
import { AgreementError } from "../ordering/waiting.ts";
import { encodeSnapshot } from "../pbft/durable.ts";
import { faultyOf, MEMBERS_MAX, MEMBERS_MIN } from "../pbft/group.ts";
import { KEYS } from "../pbft/keys.ts";
import { genesisSnapshot } from "../pbft/state.ts";
import type { PbftCounters } from "./counters.ts";
import { LostMember } from "./lost-member.ts";
import { PbftMember } from "./member.ts";
import { MemberDisk } from "./member-disk.ts";
import { checkMemberOptions, defaultPbftMemberOptions, type PbftMemberOptions } from "./options.ts";
import { ReplicatedState } from "./replicated-state.ts";
import { decodeTicket } from "./ticket.ts";

/** Carries what members of PBFT groups say to each other. */
export const PBFT_PROTOCOL: Protocol = {
  id: "/agent-mesh/pbft/1.0.0",
  // A new view of a large group, or the largest batch.
  messageBytesMax: 8 * 1_048_576,
  queueBytesMax: 16 * 1_048_576,
  requestsInFlightMax: 1,
};

/** A member of a group that bears members that lie. */
export interface PbftOrdering extends Ordering {
  /** What this member has seen since its process began. */
  counters(): PbftCounters;
}

/**
 * Founds a group, joins one, or goes on as a member of one. A member whose disk lost something opens as well, as one that is
 * `lost` and says nothing.
 * @throws AgreementError `consensus.refused` when the founders are too few or too many, or the ticket is for somebody else
 * @throws RangeError when the options are out of bounds, or a founder is not among the founders
 * @throws Error when this node was in the group before and does not resume; who was taken out may join again, with a ticket
 *   that was made afterwards
 * @throws StoreError
 */
export async function openPbftOrdering(
  parts: OrderingParts,
  options: Partial<PbftMemberOptions> = {},
): Promise<PbftOrdering> {
  const all = { ...defaultPbftMemberOptions, ...options };
  checkMemberOptions(all);
  const disk = new MemberDisk(parts.store, parts.group);
  if (parts.beginning.kind === "found" && !(await disk.isEmpty())) throw knows();
  if (parts.beginning.kind === "found") await found(parts, disk, all, parts.beginning.members);
  if (parts.beginning.kind === "join") await join(parts, disk, parts.beginning.ticket);
  try {
    return await resume(parts, disk, all);
  } catch (error) {
    if (!(error instanceof LostLogError)) throw error;
    return new LostMember(parts, error);
  }
}

async function found(
  { machine, hasher, signer }: OrderingParts,
  disk: MemberDisk,
  { pbft, keysMax }: PbftMemberOptions,
  founders: readonly string[],
): Promise<void> {
  const { size } = new Set(founders);
  if (size < MEMBERS_MIN)
    throw new AgreementError(
      "consensus.refused",
      `the protocol pbft needs ${MEMBERS_MIN} members to bear one that lies; found ${size} with the protocol raft`,
    );
  if (size > MEMBERS_MAX)
    throw new AgreementError("consensus.refused", `a group has at most ${MEMBERS_MAX} members`);
  if (size !== founders.length) throw new RangeError("a member is in the list twice");
  if (!founders.includes(signer.peerId)) throw new RangeError("a founder is one of the members");
  const state = new ReplicatedState(machine, keysMax);
  state.found(founders);
  const snapshot = genesisSnapshot(state.snapshot(), hasher, pbft);
  const head = {
    standing: "member" as const,
    epoch: 0,
    members: state.members,
    genesis: snapshot.digest,
    genesisBefore: "",
  };
  const record = { type: "put" as const, key: KEYS.state, value: encodeSnapshot(snapshot) };
  await disk.write([...disk.epochOperations(0, [record]), disk.headRecord(head)]);
}

async function join(
  { group, signer }: OrderingParts,
  disk: MemberDisk,
  bytes: Uint8Array,
): Promise<void> {
  const ticket = decodeTicket(bytes);
  if (ticket?.group !== group || ticket.peer !== signer.peerId)
    throw new AgreementError("consensus.refused", "the ticket is not for this peer and group");
  const { epoch, members } = ticket;
  if (!(await disk.isEmpty())) {
    // Never into an epoch in which it may have spoken: it would not know any more what it has said.
    const { head } = await disk.load();
    if (head.standing !== "left" || epoch < head.epoch) throw knows();
    await disk.clear();
  }
  const standing = "joining" as const;
  await disk.write([disk.headRecord({ standing, epoch, members, genesis: "", genesisBefore: "" })]);
}

function knows(): Error {
  return new Error("this node was in the group before: it resumes");
}

async function resume(
  parts: OrderingParts,
  disk: MemberDisk,
  options: PbftMemberOptions,
): Promise<PbftMember> {
  const records = await disk.load();
  const { epoch, standing } = records.head;
  const current = standing === "member" ? await disk.epochRecords(epoch) : [];
  const last = records.handovers.at(-1);
  const isProven = last === undefined || last.signed.signatures.size > faultyOf(last.voters.length);
  const previous = isProven ? undefined : await disk.epochRecords(epoch - 1);
  return new PbftMember(parts, options, { disk, records, current, previous });
}
