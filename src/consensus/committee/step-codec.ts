import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Signer } from "../../platform/signer.ts";
import { CommitteeStepSchema } from "../../wire/agent_mesh/v1/committee_pb.ts";
import type { MemberStep } from "../ordering/state-machine.ts";

/** Members vote on changes of members under this topic. */
export const STEP_TOPIC = "committee/step";

/** @returns the value of a proposal @throws RangeError for a peer that names no key */
export function encodeStep(
  signer: Pick<Signer, "publicKeyOf">,
  { kind, peer }: MemberStep,
): Uint8Array {
  const member = signer.publicKeyOf(peer);
  if (member === undefined) throw new RangeError(`${peer} names no Ed25519 key`);
  return toBinary(
    CommitteeStepSchema,
    create(CommitteeStepSchema, { member, add: kind === "add" }),
  );
}

/** @returns the change; undefined for bytes that are none; never throws */
export function decodeStep(
  signer: Pick<Signer, "peerIdOf">,
  bytes: Uint8Array,
): MemberStep | undefined {
  try {
    const { member, add } = fromBinary(CommitteeStepSchema, bytes, { readUnknownFields: false });
    return { kind: add ? "add" : "remove", peer: signer.peerIdOf(member) };
  } catch {
    // What the decoder, or a key of the wrong length, throws depends on the bytes; to us it is all the same.
    return undefined;
  }
}
