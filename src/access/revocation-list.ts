import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { PeerId, Signer } from "../platform/signer.ts";
import {
  type Revocations,
  RevocationsSchema,
  type SignedRevocations,
  SignedRevocationsSchema,
} from "../wire/agent_mesh/v1/access_pb.ts";
import { type GrantStatement, SERIAL_BYTES } from "./grant-statement.ts";

const PURPOSE = "agent-mesh/revocations/1";
/** Entries of one list; `below` takes back any number of grants. */
export const REVOCATIONS_MAX = 1_024;
/** Bytes of a signed list. */
export const REVOCATIONS_BYTES_MAX = 40_960;
/** An entry is left out that long after its grant has ended: clocks differ. */
const KEPT_AFTER_END_MS = 30 * 86_400_000;
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

/** All that an authority took back, in form. Whether the signature is right is another matter. */
export interface RevocationList {
  readonly issuer: PeerId;
  readonly version: bigint;
  /** Serials, with the end of the grant in ms since 1970; infinite: never. */
  readonly serials: ReadonlyMap<string, number>;
  /** Grants of a smaller sequence count no more. */
  readonly below: bigint;
  readonly signed: SignedRevocations;
}

/** @returns whether the list takes the grant back. Issuers are not compared. */
export function revokes(list: RevocationList, grant: GrantStatement): boolean {
  return grant.sequence < list.below || list.serials.has(grant.serial);
}

/** @returns whether a grant that ended then needs no revocation any more; never while the clock is not trusted. */
export function isLongOver(endMs: number, nowMs: number | undefined): boolean {
  return nowMs !== undefined && endMs + KEPT_AFTER_END_MS <= nowMs;
}

/**
 * @param nowMs wall clock to leave out by what has ended long since; undefined while it can not be trusted
 * @returns a list of this device, signed; undefined when there are more than {@link REVOCATIONS_MAX} entries
 */
export function signRevocations(
  terms: Pick<RevocationList, "version" | "serials" | "below"> & { readonly issuedMs: number },
  nowMs: number | undefined,
  signer: Signer,
): RevocationList | undefined {
  const kept = [...terms.serials].filter(([, endMs]) => !isLongOver(endMs, nowMs));
  const revocations = toBinary(
    RevocationsSchema,
    create(RevocationsSchema, {
      issuerKey: signer.publicKey,
      version: terms.version,
      revoked: kept.map(([serial, endMs]) => ({
        serial: Buffer.from(serial, "hex"),
        grantExpiresMs: Number.isFinite(endMs) ? BigInt(endMs) : 0n,
      })),
      sequencesBelow: terms.below,
      issuedMs: BigInt(Math.max(0, Math.trunc(terms.issuedMs))),
    }),
  );
  const signature = signer.sign(PURPOSE, revocations);
  return readRevocations(create(SignedRevocationsSchema, { revocations, signature }), signer);
}

/** @returns the list, or undefined when anything about it is out of form. Never throws. */
export function readRevocations(
  signed: SignedRevocations,
  signer: Signer,
): RevocationList | undefined {
  if (signed.signature.length !== SIGNATURE_BYTES) return undefined;
  if (signed.revocations.length + SIGNATURE_BYTES + 8 > REVOCATIONS_BYTES_MAX) return undefined;
  const list = decode(signed.revocations);
  if (list?.issuerKey.length !== KEY_BYTES || list.revoked.length > REVOCATIONS_MAX)
    return undefined;
  const serials = new Map<string, number>();
  for (const { serial, grantExpiresMs } of list.revoked) {
    if (serial.length !== SERIAL_BYTES) return undefined;
    if (grantExpiresMs > BigInt(Number.MAX_SAFE_INTEGER)) return undefined;
    const endMs = grantExpiresMs === 0n ? Number.POSITIVE_INFINITY : Number(grantExpiresMs);
    serials.set(Buffer.from(serial).toString("hex"), endMs);
  }
  return {
    issuer: signer.peerIdOf(list.issuerKey),
    version: list.version,
    serials,
    below: list.sequencesBelow,
    signed: create(SignedRevocationsSchema, {
      revocations: signed.revocations,
      signature: signed.signature,
    }),
  };
}

/** @returns whether the issuer has signed it. */
export function isGenuineList({ issuer, signed }: RevocationList, signer: Signer): boolean {
  const key = signer.publicKeyOf(issuer);
  return key !== undefined && signer.verify(key, PURPOSE, signed.revocations, signed.signature);
}

/** @returns the signed list as it is stored. */
export function encodeRevocations({ signed }: RevocationList): Uint8Array {
  return toBinary(SignedRevocationsSchema, signed);
}

/** @returns the list from its stored form, or undefined when it is none. Never throws. */
export function decodeRevocations(bytes: Uint8Array, signer: Signer): RevocationList | undefined {
  if (bytes.length > REVOCATIONS_BYTES_MAX) return undefined;
  try {
    return readRevocations(fromBinary(SignedRevocationsSchema, bytes), signer);
  } catch {
    return undefined;
  }
}

function decode(bytes: Uint8Array): Revocations | undefined {
  try {
    return fromBinary(RevocationsSchema, bytes);
  } catch {
    return undefined;
  }
}
