import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  type AccessHello,
  AccessHelloSchema,
  AccessMessageSchema,
  type AccessStatements,
  AccessStatementsSchema,
  type AccessWant,
  AccessWantSchema,
  type SignedGrant,
  type SignedRevocations,
} from "../wire/agent_mesh/v1/access_pb.ts";
import { grantBytes } from "./grant-statement.ts";

/** Bytes of one message. */
export const ACCESS_MESSAGE_BYTES_MAX = 65_536;
/** Grants of one message, and their bytes. */
export const GRANTS_MAX = 64;
/** @see GRANTS_MAX */
export const GRANTS_BYTES_MAX = 60_000;
/** Ids of one want. */
export const HAVE_MAX = 7_680;
const CREDENTIALS_MAX = 16;
/** Each may take most of a message. */
const LISTS_MAX = 4;
/** Lists that a hello speaks of. */
export const VERSIONS_MAX = 64;
const SHORT_ID_BYTES = 8;

/** What a message says, within its bounds. */
export type AccessBody =
  | { readonly case: "hello"; readonly value: AccessHello }
  | { readonly case: "statements"; readonly value: AccessStatements }
  | { readonly case: "want"; readonly value: AccessWant };

/** @returns what the message says; undefined when it is none or goes over a bound. Never throws. */
export function decodeAccessMessage(payload: Uint8Array): AccessBody | undefined {
  if (payload.length > ACCESS_MESSAGE_BYTES_MAX) return undefined;
  try {
    const { body } = fromBinary(AccessMessageSchema, payload);
    return body.case !== undefined && isWithinBounds(body) ? body : undefined;
  } catch {
    return undefined;
  }
}

/** @returns a hello as it is sent. */
export function encodeHello(hello: MessageInitShape<typeof AccessHelloSchema>): Uint8Array {
  return encode({ case: "hello", value: create(AccessHelloSchema, hello) });
}

/** @returns statements as they are sent. They have to fit: see {@link portions}; a list goes alone. */
export function encodeStatements(
  grants: readonly SignedGrant[],
  revocations: readonly SignedRevocations[],
): Uint8Array {
  const value = create(AccessStatementsSchema, {
    grants: [...grants],
    revocations: [...revocations],
  });
  return encode({ case: "statements", value });
}

/** @param ids at most {@link HAVE_MAX} @returns a want as it is sent. */
export function encodeWant(ids: readonly bigint[]): Uint8Array {
  const have = new Uint8Array(ids.length * SHORT_ID_BYTES);
  const view = new DataView(have.buffer);
  ids.forEach((id, at) => view.setBigUint64(at * SHORT_ID_BYTES, id));
  return encode({ case: "want", value: create(AccessWantSchema, { have }) });
}

/** @returns the ids that a want names. */
export function idsOf({ have }: AccessWant): ReadonlySet<bigint> {
  const view = new DataView(have.buffer, have.byteOffset, have.byteLength);
  const ids = new Set<bigint>();
  for (let at = 0; at < have.byteLength; at += SHORT_ID_BYTES) ids.add(view.getBigUint64(at));
  return ids;
}

/** @returns the grants in runs that fit into a message each. */
export function portions(grants: readonly SignedGrant[]): readonly (readonly SignedGrant[])[] {
  const runs: SignedGrant[][] = [];
  let bytes = 0;
  for (const signed of grants) {
    const size = grantBytes(signed);
    const run = runs.at(-1);
    if (run === undefined || run.length >= GRANTS_MAX || bytes + size > GRANTS_BYTES_MAX) {
      runs.push([signed]);
      bytes = size;
    } else {
      run.push(signed);
      bytes += size;
    }
  }
  return runs;
}

function isWithinBounds(body: AccessBody): boolean {
  switch (body.case) {
    case "hello":
      return (
        body.value.credentials.length <= CREDENTIALS_MAX &&
        body.value.versions.length <= VERSIONS_MAX &&
        body.value.versions.every(({ issuerKey }) => issuerKey.length === 32)
      );
    case "statements":
      return body.value.grants.length <= GRANTS_MAX && body.value.revocations.length <= LISTS_MAX;
    case "want":
      return (
        body.value.have.length % SHORT_ID_BYTES === 0 &&
        body.value.have.length <= HAVE_MAX * SHORT_ID_BYTES
      );
  }
  return false;
}

function encode(body: AccessBody): Uint8Array {
  return toBinary(AccessMessageSchema, create(AccessMessageSchema, { body }));
}
