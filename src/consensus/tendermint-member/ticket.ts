import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { fromHex, toHex } from "../../platform/hex.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import {
  TendermintTicketBodySchema,
  TendermintTicketSchema,
} from "../../wire/agent_mesh/v1/tendermint_pb.ts";
import { VALIDATORS_MAX } from "../tendermint/validators.ts";
import { digestOf, numberOf } from "./fields.ts";

const PURPOSE = "agent-mesh/tendermint/ticket/1";
const READ_OPTIONS = { readUnknownFields: false } as const;
/** A name of 128 letters for each of two lists, and the rest. */
const TICKET_BYTES_MAX = 2 * VALIDATORS_MAX * 140 + 1_024;
/** Of the number that makes a ticket another than all before. */
export const TICKET_ID_BYTES = 16;

/**
 * What somebody who is to be added begins with. Who holds it trusts whoever gave it as to who the members are; from there
 * on it trusts more than 2/3 of these.
 */
export interface Ticket {
  readonly group: string;
  /** 32 hexadecimal digits, drawn for this ticket alone. */
  readonly id: string;
  readonly peer: PeerId;
  /** Of the latest snapshot that is proven; 0 before the first. */
  readonly height: number;
  /** Of that snapshot. */
  readonly digest: string | undefined;
  /** Who votes at the height of the issuer. */
  readonly validators: readonly PeerId[];
  /** Who voted at first; none where there is a snapshot. */
  readonly founders: readonly PeerId[];
}

/** A ticket as its issuer signed it. */
export interface SignedTicket {
  readonly body: Uint8Array;
  readonly issuer: PeerId;
  readonly signature: Uint8Array;
}

/** @returns the bytes of a ticket that the signer vouches for */
export function signTicket(signer: Signer, ticket: Ticket): Uint8Array {
  const body = toBinary(
    TendermintTicketBodySchema,
    create(TendermintTicketBodySchema, {
      group: fromHex(ticket.group),
      id: fromHex(ticket.id),
      peer: ticket.peer,
      height: BigInt(ticket.height),
      digest: fromHex(ticket.digest ?? ""),
      validators: [...ticket.validators],
      founders: [...ticket.founders],
    }),
  );
  const signature = signer.sign(PURPOSE, body);
  return toBinary(
    TendermintTicketSchema,
    create(TendermintTicketSchema, { body, issuer: signer.peerId, signature }),
  );
}

/** @returns the ticket with its signature unchecked; undefined when it is none; never throws */
export function decodeTicket(bytes: Uint8Array): SignedTicket | undefined {
  if (bytes.length > TICKET_BYTES_MAX) return undefined;
  try {
    const { body, issuer, signature } = fromBinary(TendermintTicketSchema, bytes, READ_OPTIONS);
    return { body, issuer, signature };
  } catch {
    // What the decoder throws depends on the bytes; to us it is all the same.
    return undefined;
  }
}

/** @returns what the ticket says; undefined when that is nothing; never throws */
export function readTicket({ body }: SignedTicket): Ticket | undefined {
  if (body.length > TICKET_BYTES_MAX) return undefined;
  try {
    const read = fromBinary(TendermintTicketBodySchema, body, READ_OPTIONS);
    const { group, id, peer, height, digest, validators, founders } = read;
    if (id.length !== TICKET_ID_BYTES || peer === "" || validators.length > VALIDATORS_MAX)
      return undefined;
    if (founders.length > VALIDATORS_MAX || height > 0n !== digest.length > 0) return undefined;
    return {
      group: toHex(group),
      id: toHex(id),
      peer,
      height: numberOf(height),
      digest: digest.length === 0 ? undefined : digestOf(digest),
      validators,
      founders,
    };
  } catch {
    // As in decodeTicket.
    return undefined;
  }
}

/** @returns whether the issuer that it names signed the ticket */
export function isSignedTicket(
  { body, issuer, signature }: SignedTicket,
  verifier: Pick<Signer, "verify" | "publicKeyOf">,
): boolean {
  const key = verifier.publicKeyOf(issuer);
  return key !== undefined && verifier.verify(key, PURPOSE, body, signature);
}
