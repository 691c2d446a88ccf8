import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Hasher } from "../platform/hasher.ts";
import type { PeerId, Signer } from "../platform/signer.ts";
import {
  type Grant,
  GrantSchema,
  type SignedGrant,
  SignedGrantSchema,
} from "../wire/agent_mesh/v1/access_pb.ts";
import { isPermissionName, isRoleName, type Permission } from "./roles.ts";

const PURPOSE = "agent-mesh/grant/1";
/** Bytes of a signed grant. */
export const GRANT_BYTES_MAX = 1_024;
/** Bytes of a serial. */
export const SERIAL_BYTES = 16;
const ROLES_MAX = 8;
const PERMISSIONS_MAX = 16;
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
const ID_DIGITS = 32;

/** A grant that is in form. Whether its signature is right and its issuer counts is another matter. */
export interface GrantStatement {
  /** The first 16 bytes of SHA-256 of the encoded Grant, in hexadecimal. */
  readonly id: string;
  readonly issuer: PeerId;
  readonly subject: PeerId;
  readonly roles: readonly string[];
  readonly permissions: readonly Permission[];
  /** Milliseconds since 1970; 0: from the beginning. */
  readonly notBeforeMs: number;
  /** Milliseconds since 1970; infinite: never. */
  readonly expiresMs: number;
  /** 16 bytes in hexadecimal. */
  readonly serial: string;
  readonly sequence: bigint;
  /** Milliseconds since 1970, as the issuer's clock had it. */
  readonly issuedMs: number;
  /** What was signed, and the signature. */
  readonly signed: SignedGrant;
}

/** What a new grant should say. */
export interface GrantTerms {
  readonly subject: PeerId;
  readonly roles: readonly string[];
  readonly permissions: readonly Permission[];
  readonly notBeforeMs: number;
  /** 0: never. */
  readonly expiresMs: number;
  readonly serial: Uint8Array;
  readonly sequence: bigint;
  readonly issuedMs: number;
}

interface Tools {
  readonly signer: Signer;
  readonly hasher: Hasher;
}

/**
 * @returns the terms, signed by this device; undefined when they are out of bounds: no role or permission or too
 *   many, a malformed name, an end before the beginning, a subject that is no Ed25519 key
 */
export function signGrant(terms: GrantTerms, tools: Tools): GrantStatement | undefined {
  const subjectKey = tools.signer.publicKeyOf(terms.subject);
  if (subjectKey === undefined) return undefined;
  const grant = toBinary(
    GrantSchema,
    create(GrantSchema, {
      issuerKey: tools.signer.publicKey,
      subjectKey,
      roles: [...terms.roles],
      permissions: [...terms.permissions],
      notBeforeMs: BigInt(terms.notBeforeMs),
      expiresMs: BigInt(terms.expiresMs),
      serial: terms.serial,
      sequence: terms.sequence,
      issuedMs: BigInt(Math.max(0, Math.trunc(terms.issuedMs))),
    }),
  );
  const signature = tools.signer.sign(PURPOSE, grant);
  return readGrant(create(SignedGrantSchema, { grant, signature }), tools);
}

/** @returns the grant, or undefined when anything about it is out of form. Never throws. */
export function readGrant(
  signed: SignedGrant,
  { signer, hasher }: Tools,
): GrantStatement | undefined {
  if (signed.signature.length !== SIGNATURE_BYTES) return undefined;
  // Tags and lengths of the two fields take 5 bytes at most.
  if (signed.grant.length + SIGNATURE_BYTES + 5 > GRANT_BYTES_MAX) return undefined;
  const grant = decode(signed.grant);
  if (grant === undefined || !isInForm(grant)) return undefined;
  const notBeforeMs = milliseconds(grant.notBeforeMs);
  const expiresMs =
    grant.expiresMs === 0n ? Number.POSITIVE_INFINITY : milliseconds(grant.expiresMs);
  const issuedMs = milliseconds(grant.issuedMs);
  if (notBeforeMs === undefined || expiresMs === undefined || issuedMs === undefined)
    return undefined;
  if (expiresMs <= notBeforeMs) return undefined;
  return {
    id: hasher.sha256Hex(signed.grant).slice(0, ID_DIGITS),
    issuer: signer.peerIdOf(grant.issuerKey),
    subject: signer.peerIdOf(grant.subjectKey),
    roles: grant.roles,
    permissions: grant.permissions,
    notBeforeMs,
    expiresMs,
    serial: Buffer.from(grant.serial).toString("hex"),
    sequence: grant.sequence,
    issuedMs,
    // Without what else may have come along: only these two fields are vouched for.
    signed: create(SignedGrantSchema, { grant: signed.grant, signature: signed.signature }),
  };
}

/** @returns whether the issuer has signed it. */
export function isGenuine(grant: GrantStatement, signer: Signer): boolean {
  const key = signer.publicKeyOf(grant.issuer);
  if (key === undefined) return false;
  return signer.verify(key, PURPOSE, grant.signed.grant, grant.signed.signature);
}

/** @returns the most bytes that it takes within a message. */
export function grantBytes({ grant, signature }: SignedGrant): number {
  return grant.length + signature.length + 16;
}

/** @returns the signed grant as it is stored. */
export function encodeGrant({ signed }: GrantStatement): Uint8Array {
  return toBinary(SignedGrantSchema, signed);
}

/** @returns the grant from its stored form, or undefined when it is none. Never throws. */
export function decodeGrant(bytes: Uint8Array, tools: Tools): GrantStatement | undefined {
  if (bytes.length > GRANT_BYTES_MAX) return undefined;
  try {
    return readGrant(fromBinary(SignedGrantSchema, bytes), tools);
  } catch {
    return undefined;
  }
}

function decode(bytes: Uint8Array): Grant | undefined {
  try {
    return fromBinary(GrantSchema, bytes);
  } catch {
    return undefined;
  }
}

function isInForm(grant: Grant): boolean {
  const { issuerKey, subjectKey, serial, roles, permissions } = grant;
  return (
    issuerKey.length === KEY_BYTES &&
    subjectKey.length === KEY_BYTES &&
    serial.length === SERIAL_BYTES &&
    roles.length + permissions.length > 0 &&
    roles.length <= ROLES_MAX &&
    permissions.length <= PERMISSIONS_MAX &&
    roles.every(isRoleName) &&
    permissions.every(isPermissionName)
  );
}

function milliseconds(value: bigint): number | undefined {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : undefined;
}
