import type { PeerId } from "../../platform/signer.ts";
import type { OrderingParts } from "../ordering/ordering.ts";
import { AgreementError } from "../ordering/waiting.ts";
import { MEMBERS_MAX, MEMBERS_MIN } from "./group-state.ts";
import { LogDisk } from "./log-disk.ts";
import { TendermintMember } from "./member.ts";
import { defaultTendermintMemberOptions, type TendermintMemberOptions } from "./options.ts";
import { decodeTicket, readTicket, type Ticket } from "./ticket.ts";

/**
 * Opens one member of a Tendermint group, which bears members that lie as long as they are less than a third.
 * @param options the same at all members, where they say so
 * @throws AgreementError `consensus.refused` for a beginning that can not be @throws LostLogError when part of what it
 *   once wrote is gone: it must not speak again as that member @throws StoreError @throws RangeError for options that keep
 *   less than a member needs that is given the last state
 */
export async function openTendermintOrdering(
  parts: OrderingParts,
  options: TendermintMemberOptions = defaultTendermintMemberOptions,
): Promise<TendermintMember> {
  const { beginning, store, group } = parts;
  checkOptions(options);
  if (beginning.kind === "resume") {
    const disk = await LogDisk.open(store, group, options);
    const { origin } = disk;
    const ticket = origin.kind === "join" ? ticketOf(parts, origin.ticket) : undefined;
    return new TendermintMember(parts, options, disk, ticket);
  }
  if (beginning.kind === "join") {
    const ticket = ticketOf(parts, beginning.ticket);
    const origin = { kind: "join", ticket: beginning.ticket } as const;
    const disk = await LogDisk.create(store, group, origin, options);
    return new TendermintMember(parts, options, disk, ticket);
  }
  const members = foundersOf(parts, beginning.members);
  const disk = await LogDisk.create(store, group, { kind: "found", members }, options);
  return new TendermintMember(parts, options, disk, undefined);
}

function foundersOf({ signer }: OrderingParts, members: readonly PeerId[]): readonly PeerId[] {
  const founders = [...new Set(members)].sort();
  if (founders.length < MEMBERS_MIN || founders.length > MEMBERS_MAX)
    throw new AgreementError(
      "consensus.refused",
      `a group that bears a liar has ${MEMBERS_MIN} to ${MEMBERS_MAX} members, not ${founders.length}`,
    );
  if (!founders.includes(signer.peerId))
    throw new AgreementError("consensus.refused", "a founder is among the founders");
  return founders;
}

function ticketOf({ group, signer }: OrderingParts, bytes: Uint8Array): Ticket {
  const signed = decodeTicket(bytes);
  const ticket = signed && readTicket(signed);
  if (ticket?.group !== group || ticket.peer !== signer.peerId)
    throw new AgreementError("consensus.refused", "the ticket is for somebody else");
  if (ticket.validators.length < MEMBERS_MIN)
    throw new AgreementError("consensus.refused", "nobody joins a group like that");
  return ticket;
}

/** Between a state and the proof of the next one all decisions are kept: else nobody could follow who begins with it. */
function checkOptions(options: TendermintMemberOptions): void {
  const { tendermint, snapshotEveryHeights, snapshotEveryBytes, blockBytesMax } = options;
  if (tendermint.decisionsKeptMax < snapshotEveryHeights + 2)
    throw new RangeError(
      `${tendermint.decisionsKeptMax} decisions are fewer than between two states`,
    );
  if (tendermint.decisionsKeptBytesMax < snapshotEveryBytes + 2 * blockBytesMax)
    throw new RangeError(
      `decisions of ${tendermint.decisionsKeptBytesMax} bytes are less than between two states`,
    );
  if (tendermint.valueBytesMax < blockBytesMax)
    throw new RangeError("a block has to be a value of the protocol");
}
