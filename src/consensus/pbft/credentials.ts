import type { PeerId, Signer } from "../../platform/signer.ts";

/** Keeps what replicas sign apart from everything else that their keys sign. */
const VOTE_PURPOSE = "agent-mesh/pbft/vote/1";
/** And requests of clients apart from votes. */
const REQUEST_PURPOSE = "agent-mesh/pbft/request/1";

/** Tells genuine signatures from others. Never throws. */
export interface SignatureCheck {
  /** @returns whether a replica signed these bytes */
  isVoteOf(replica: PeerId, bytes: Uint8Array, signature: Uint8Array): boolean;
  /** @returns whether a client that may ask for something signed these bytes */
  isRequestOf(client: string, bytes: Uint8Array, signature: Uint8Array): boolean;
}

/** The same, and the means to sign as oneself. */
export interface Credentials extends SignatureCheck {
  readonly self: PeerId;
  signVote(bytes: Uint8Array): Uint8Array;
}

/** @returns how a client signs its requests with the key that its name stands for */
export function requestSigner(signer: Signer): (bytes: Uint8Array) => Uint8Array {
  return (bytes) => signer.sign(REQUEST_PURPOSE, bytes);
}

/** Replicas and clients alike are named by their keys. @param isClient who may send requests; everybody by default */
export function signerCredentials(
  signer: Signer,
  isClient: (client: PeerId) => boolean = () => true,
): Credentials {
  const keys = new Map<PeerId, Uint8Array | undefined>();
  const isSignedBy = (
    name: PeerId,
    purpose: string,
    bytes: Uint8Array,
    signature: Uint8Array,
  ): boolean => {
    let key = keys.get(name);
    if (key === undefined) {
      key = signer.publicKeyOf(name);
      if (keys.size >= KEYS_MAX) keys.clear();
      keys.set(name, key);
    }
    return key !== undefined && signer.verify(key, purpose, bytes, signature);
  };
  return {
    self: signer.peerId,
    signVote: (bytes) => signer.sign(VOTE_PURPOSE, bytes),
    isVoteOf: (replica, bytes, signature) => isSignedBy(replica, VOTE_PURPOSE, bytes, signature),
    isRequestOf: (client, bytes, signature) =>
      isClient(client) && isSignedBy(client, REQUEST_PURPOSE, bytes, signature),
  };
}

/** Keys derived from names that are kept. */
const KEYS_MAX = 4_096;
