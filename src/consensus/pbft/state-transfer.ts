import { ByteWriter } from "./bytes.ts";
import type { Certificate } from "./certificate.ts";
import type { Fetch } from "./messages.ts";
import type { Self } from "./self.ts";
import { decodeManifest, type Snapshot } from "./state.ts";
import type { Turn } from "./turn.ts";

/** Sends a signed question to one replica. */
export type Ask = (turn: Turn, to: number, fetch: Fetch) => void;

interface Transfer {
  readonly target: Certificate;
  /** Digests of the chunks; undefined until the manifest is here. */
  manifest: { readonly bytes: Uint8Array; readonly digests: readonly string[] } | undefined;
  readonly chunks: (Uint8Array | undefined)[];
  missing: number;
}

/**
 * Fetches the state of a stable checkpoint from those who signed for it, chunk by chunk. Each piece is checked against the
 * certificate, so that it does not matter who sends it (Castro and Liskov, TOCS 2002, section 5.3, with one level of
 * partitions). When the target moves on, chunks that are the same in the new state are not fetched again.
 */
export class StateTransfer {
  readonly #self: Self;
  readonly #ask: Ask;
  #transfer: Transfer | undefined;
  /** Chunks of the target before this one, by digest. */
  #known = new Map<string, Uint8Array>();
  #turnOfProvider = 0;
  #hasMoved = false;

  constructor(self: Self, ask: Ask) {
    this.#self = self;
    this.#ask = ask;
  }

  get isUnderWay(): boolean {
    return this.#transfer !== undefined;
  }

  /** Begins to fetch this state, or goes on with it. */
  pursue(turn: Turn, target: Certificate): void {
    const transfer = this.#transfer;
    if (transfer?.target.sequence === target.sequence) {
      // Nothing came since the last look: somebody else may be better.
      if (!this.#hasMoved) this.#turnOfProvider++;
      this.#hasMoved = false;
      this.#askOn(turn, transfer);
      return;
    }
    if (transfer?.manifest !== undefined) {
      const known = new Map<string, Uint8Array>();
      for (const [index, digest] of transfer.manifest.digests.entries()) {
        const chunk = transfer.chunks[index];
        if (chunk !== undefined) known.set(digest, chunk);
      }
      this.#known = known;
    }
    this.#transfer = { target, manifest: undefined, chunks: [], missing: 0 };
    this.#hasMoved = false;
    this.#askOn(turn, this.#transfer);
  }

  /** There is no need for it any more. */
  abandon(): void {
    this.#transfer = undefined;
    this.#known.clear();
  }

  /** @returns the state, when this was all that was missing */
  takeManifest(turn: Turn, sequence: number, bytes: Uint8Array): Snapshot | undefined {
    const transfer = this.#transfer;
    if (transfer?.target.sequence !== sequence || transfer.manifest !== undefined) {
      turn.refuse("not-asked-for");
      return undefined;
    }
    const digests = decodeManifest(bytes, this.#self.options);
    if (digests === undefined || this.#self.hasher.sha256Hex(bytes) !== transfer.target.digest) {
      turn.refuse("wrong-digest");
      return undefined;
    }
    transfer.manifest = { bytes, digests };
    this.#hasMoved = true;
    for (const [index, digest] of digests.entries()) {
      const chunk = this.#known.get(digest);
      if (chunk === undefined) transfer.missing++;
      else transfer.chunks[index] = chunk;
    }
    return this.#finishOrAskOn(turn, transfer);
  }

  /** @returns the state, when this was all that was missing */
  takeChunk(
    turn: Turn,
    { sequence, index, chunk }: { sequence: number; index: number; chunk: Uint8Array },
  ): Snapshot | undefined {
    const transfer = this.#transfer;
    const digest = transfer?.manifest?.digests[index];
    if (
      transfer?.target.sequence !== sequence ||
      digest === undefined ||
      transfer.chunks[index] !== undefined
    ) {
      turn.refuse("not-asked-for");
      return undefined;
    }
    if (this.#self.hasher.sha256Hex(chunk) !== digest) {
      turn.refuse("wrong-digest");
      return undefined;
    }
    transfer.chunks[index] = chunk;
    transfer.missing--;
    this.#hasMoved = true;
    // Those asked for before are under way: each that comes makes room for one more.
    return this.#finishOrAskOn(turn, transfer, this.#self.options.chunksInFlightMax - 1);
  }

  #finishOrAskOn(turn: Turn, transfer: Transfer, skip = 0): Snapshot | undefined {
    const { manifest, target, chunks } = transfer;
    if (manifest === undefined || transfer.missing > 0) {
      this.#askOn(turn, transfer, skip);
      return undefined;
    }
    const writer = new ByteWriter(manifest.digests.length * this.#self.options.chunkBytes);
    for (const chunk of chunks) if (chunk !== undefined) writer.raw(chunk);
    this.abandon();
    const { sequence, digest } = target;
    return { sequence, digest, bytes: writer.finish(), manifest: manifest.bytes };
  }

  #askOn(turn: Turn, { target, manifest, chunks }: Transfer, skip = 0): void {
    const { options } = this.#self;
    const providers = this.#providersOf(target);
    const provider = providers[this.#turnOfProvider % providers.length];
    if (provider === undefined) return;
    const { sequence } = target;
    if (manifest === undefined) {
      this.#ask(turn, provider, { what: "manifest", sequence });
      return;
    }
    let seen = 0;
    for (let index = 0; index < manifest.digests.length; index++) {
      if (chunks[index] !== undefined) continue;
      seen++;
      if (seen <= skip) continue;
      if (seen > options.chunksInFlightMax) return;
      this.#ask(turn, provider, { what: "chunk", sequence, index });
    }
  }

  /** Nobody signs for what a group begins with: anybody may have it. */
  #providersOf({ sequence, signatures }: Certificate): readonly number[] {
    const { index, group } = this.#self;
    const all = sequence === 0 ? [...group.members.keys()] : signatures.map(({ signer }) => signer);
    return all.filter((signer) => signer !== index);
  }
}
