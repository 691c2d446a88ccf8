import type { StoreEntry } from "../../platform/key-value-store.ts";
import { type Batch, decodeBatch } from "./batch.ts";
import { type ByteReader, ByteWriter, decodeAll } from "./bytes.ts";
import {
  type Certificate,
  type PreparedCertificate,
  readCertificate,
  readPrepared,
} from "./certificate.ts";
import { KEYS, SLOT_KEYS } from "./keys.ts";
import type { Self } from "./self.ts";
import { type Snapshot, snapshotOf } from "./state.ts";
import {
  decodeNewView,
  decodeViewChange,
  genesisOf,
  type NewView,
  type ViewChange,
} from "./view-change.ts";
import { readVote, type Vote } from "./vote.ts";

/** What is on record of one sequence number. */
export interface KeptSlot {
  readonly sequence: number;
  readonly accepted?: { readonly vote: Vote; readonly batch: Batch };
  readonly prepared?: { readonly certificate: PreparedCertificate; readonly batch: Batch };
  readonly decided?: { readonly certificate: Certificate; readonly batch: Batch };
}

/** All that a replica had on record when it stopped. */
export interface Kept {
  readonly view: number;
  readonly isPending: boolean;
  readonly viewChange: ViewChange | undefined;
  readonly newView: NewView | undefined;
  readonly stable: Certificate;
  readonly snapshot: Snapshot | undefined;
  readonly slots: readonly KeptSlot[];
}

/** The view as it is kept. */
export function encodeView(view: number, isPending: boolean): Uint8Array {
  return new ByteWriter(9)
    .u53(view)
    .u8(isPending ? 1 : 0)
    .finish();
}

/** A state as it is kept. */
export function encodeSnapshot({ sequence, bytes }: Snapshot): Uint8Array {
  return new ByteWriter(8 + bytes.length).u53(sequence).raw(bytes).finish();
}

/**
 * Reads what a replica kept. @param entries in any order; keys of others are an error
 * @throws Error when something is damaged or missing: then this replica can not tell what it has said, and must not go on
 */
export function readKept(entries: Iterable<StoreEntry>, self: Self): Kept {
  const { group, check, options, hasher } = self;
  const records = new Map(entries);
  const read = <T>(key: string, reader: (reader: ByteReader) => T): T | undefined => {
    const bytes = records.get(key);
    return bytes === undefined ? undefined : intact(key, decodeAll(bytes, reader));
  };
  const view = read(KEYS.view, (reader) => ({ view: reader.u53(), isPending: reader.u8() === 1 }));
  const viewChange = records.get(KEYS.viewChange);
  const newView = records.get(KEYS.newView);
  const state = read(KEYS.state, (reader) => ({ sequence: reader.u53(), bytes: reader.rest() }));
  const sequences = new Set<number>();
  for (const key of records.keys()) {
    const [kind = "", digits = ""] = key.split("/");
    if (kind === "accepted" || kind === "prepared" || kind === "decided")
      sequences.add(Number(digits));
  }
  const batchOf = (sequence: number, digest: string): Batch => {
    if (digest === self.nullBatch.digest) return self.nullBatch;
    const key = SLOT_KEYS.batch(sequence, digest);
    const bytes = records.get(key);
    return intact(key, bytes && decodeBatch(bytes, hasher, options));
  };
  const slots = [...sequences].map((sequence): KeptSlot => {
    const vote = read(SLOT_KEYS.accepted(sequence), readVote);
    const prepared = read(SLOT_KEYS.prepared(sequence), (reader) =>
      readPrepared(reader, group.size),
    );
    const decided = read(SLOT_KEYS.decided(sequence), (reader) =>
      readCertificate(reader, "commit", group.size),
    );
    return {
      sequence,
      ...(vote && { accepted: { vote, batch: batchOf(sequence, vote.digest) } }),
      ...(prepared && {
        prepared: { certificate: prepared, batch: batchOf(sequence, prepared.digest) },
      }),
      ...(decided && {
        decided: { certificate: decided, batch: batchOf(sequence, decided.digest) },
      }),
    };
  });
  return {
    view: view?.view ?? 0,
    isPending: view?.isPending ?? false,
    viewChange: viewChange && intact(KEYS.viewChange, decodeViewChange(viewChange, check, options)),
    newView: newView && intact(KEYS.newView, decodeNewView(newView, check, options)),
    stable:
      read(KEYS.stable, (reader) => readCertificate(reader, "checkpoint", group.size)) ??
      genesisOf(group),
    snapshot: state && snapshotOf(state.sequence, state.bytes, hasher, options),
    slots,
  };
}

function intact<T>(key: string, value: T | undefined): T {
  if (value === undefined) throw new Error(`the record ${key} is damaged or missing`);
  return value;
}
