import type { Certificate } from "../tendermint/certificate.ts";
import type { Manifest } from "../tendermint/parts.ts";

/** The state after a height, as far as it can be trusted before it is here. */
export interface Offer {
  readonly height: number;
  readonly manifest: Manifest;
  /** Of the next height; it names the digest of the state. */
  readonly block: Uint8Array;
  /** That the members decided on that block. */
  readonly certificate: Certificate;
}
