import type { Hasher } from "../../platform/hasher.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import type { SignedManifest } from "../../wire/agent_mesh/v1/learning_tasks_pb.ts";
import { LearningError } from "./learning-error.ts";
import { completeSpec, type TaskSpec } from "./task-spec.ts";

const PURPOSE = "agent-mesh/learning-manifest/1";
const FORMAT = 1;
const KEY_BYTES = 32;
/** Largest manifest. */
export const MANIFEST_BYTES_MAX = 65_536;
const HASH = /^[0-9a-f]{64}$/;
/** Hexadecimal digits of a task's name. */
const TASK_DIGITS = 32;

/** A manifest as it travels. */
export type ManifestProof = Pick<SignedManifest, "publicKey" | "manifest" | "signature">;

/** What is to be learned, found signed by its author. Immutable. */
export interface Manifest {
  /** 32 hexadecimal digits: the first 16 bytes of the SHA-256 of the bytes. */
  readonly task: string;
  readonly author: PeerId;
  /** When it was made, as the author's clock had it. For people, and so that no two are the same. */
  readonly createdAtMs: number;
  readonly spec: TaskSpec;
  /** SHA-256 of the weights that round 1 begins with, as its author has drawn them from the seed. */
  readonly firstModelHash: string;
  readonly proof: ManifestProof;
}

/** Why bytes are no manifest. */
export type ManifestFault = "malformed" | "forged" | "not-understood";

/**
 * Signs what is to be learned.
 * @throws LearningError `learning.spec` for one that is larger than 64 KiB
 */
export function signManifest(
  { signer, hasher }: { readonly signer: Signer; readonly hasher: Hasher },
  content: Pick<Manifest, "spec" | "createdAtMs" | "firstModelHash">,
): Manifest {
  const author = signer.peerId;
  const text = JSON.stringify({ format: FORMAT, author, ...content });
  const manifest = new TextEncoder().encode(text);
  if (manifest.length > MANIFEST_BYTES_MAX)
    throw new LearningError(
      "learning.spec",
      `the task takes ${manifest.length} bytes as JSON, ${MANIFEST_BYTES_MAX} at most`,
    );
  const signature = signer.sign(PURPOSE, manifest);
  const proof = { publicKey: signer.publicKey, manifest, signature };
  return { task: taskOf(hasher, manifest), author, ...content, proof };
}

/**
 * Reads and checks a manifest from anywhere; never throws.
 * @returns what is wrong where it is none; `not-understood` is signed, and says what this program does not know, as a later one may
 */
export function readManifest(
  { signer, hasher }: { readonly signer: Signer; readonly hasher: Hasher },
  { publicKey, manifest, signature }: ManifestProof,
): Manifest | ManifestFault {
  if (publicKey.length !== KEY_BYTES || manifest.length > MANIFEST_BYTES_MAX) return "malformed";
  if (!signer.verify(publicKey, PURPOSE, manifest, signature)) return "forged";
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(manifest);
    const content = JSON.parse(text) as Partial<Record<string, unknown>>;
    const { format, author, createdAtMs, spec, firstModelHash } = content;
    if (author !== signer.peerIdOf(publicKey)) return "malformed";
    if (format !== FORMAT || !Number.isSafeInteger(createdAtMs)) return "not-understood";
    if (typeof firstModelHash !== "string" || !HASH.test(firstModelHash)) return "not-understood";
    return {
      task: taskOf(hasher, manifest),
      author,
      createdAtMs: createdAtMs as number,
      spec: completeSpec(spec),
      firstModelHash,
      proof: {
        publicKey: publicKey.slice(),
        manifest: manifest.slice(),
        signature: signature.slice(),
      },
    };
  } catch (error) {
    // Text that is none, JSON that is none, or a document without keys.
    return error instanceof LearningError ? "not-understood" : "malformed";
  }
}

function taskOf(hasher: Hasher, manifest: Uint8Array): string {
  return hasher.sha256Hex(manifest).slice(0, TASK_DIGITS);
}
