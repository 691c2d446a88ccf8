/**
 * Name of a node in the mesh: the text form of the hash of its public key, as in the libp2p specification "Peer
 * Ids and Keys"; for Ed25519 it begins with `12D3KooW`.
 */
export type PeerId = string;

/** The device's identity key (Ed25519, RFC 8032). What is signed is always prefixed with its purpose. */
export interface Signer {
  readonly peerId: PeerId;
  /** Raw public key, 32 bytes. */
  readonly publicKey: Uint8Array;
  /**
   * @param purpose keeps a signature made for one use from serving another, for example `agent-mesh/record/1`;
   *   what is signed is the purpose, a zero byte, and the bytes
   * @returns 64 bytes
   */
  sign(purpose: string, bytes: Uint8Array): Uint8Array;
  /** @returns false for a wrong signature and for a malformed key or signature alike; never throws */
  verify(publicKey: Uint8Array, purpose: string, bytes: Uint8Array, signature: Uint8Array): boolean;
  /** @throws RangeError when the key does not have 32 bytes */
  peerIdOf(publicKey: Uint8Array): PeerId;
  /** @returns the raw key that the name stands for; undefined when it is none of an Ed25519 key */
  publicKeyOf(peerId: PeerId): Uint8Array | undefined;
}
