import type { RoundHead } from "../../../src/federated/rounds/chain.ts";
import {
  type RoundRecord,
  readRecord,
  signRecord,
} from "../../../src/federated/rounds/round-record.ts";
import { encodeSheet, inSheetOrder, readSheet } from "../../../src/federated/rounds/sheet.ts";
import { countedOf } from "../../../src/federated/rounds/step.ts";
import type { TrainerWord } from "../../../src/federated/rounds/trainer-word.ts";
import type { Signer } from "../../../src/platform/signer.ts";
import type { AggregatorLie, Stage } from "./plan.ts";
import { putTogether } from "./toy-model.ts";

/**
 * Turns an honest record into what a liar would put before the committee: right in all but one thing.
 * @param hold keeps what it makes, for others to fetch
 * @returns the value as it was where there is nothing to lie about yet
 */
export function lieAbout(
  stage: Stage,
  signer: Signer,
  value: Uint8Array,
  lie: AggregatorLie | undefined,
  hold: (content: string | Uint8Array) => string,
): Uint8Array {
  const { contents, ledger } = stage;
  const record = readRecord(signer, value);
  if (typeof record === "string") throw new Error("an honest record is none");
  const words = wordsOf(stage, signer, record.sheetHash);
  const before = ledger.heads[record.round - 1];
  if (before?.modelHash !== record.baseHash) return value;
  switch (lie) {
    case "false-model":
      return signRecord(signer, { ...record, modelHash: hold(`{"model":"of ${signer.peerId}"}`) });
    case "replay": {
      if (before.sheetHash === undefined) return value;
      const old = wordsOf(stage, signer, before.sheetHash).filter(
        ({ trainer }) => !words.some((word) => word.trainer === trainer),
      );
      return old.length === 0 ? value : make(record, before, [...words, ...old]);
    }
    case "old-base": {
      const older = ledger.heads[record.round - 2];
      return older === undefined ? value : make(record, { ...before, ...older }, words);
    }
    case "too-few":
      return make(record, before, words.slice(0, 1));
    case "withhold":
    case undefined:
      return value;
    default:
      return lie satisfies never;
  }

  function make(of: RoundRecord, base: RoundHead, lied: readonly TrainerWord[]): Uint8Array {
    const inOrder = inSheetOrder(lied);
    const { task, round } = of;
    const place = {
      task,
      round,
      baseHash: base.modelHash,
      previousSheetHash: of.previousSheetHash,
    };
    const sheetHash = hold(encodeSheet({ ...place, words: inOrder }));
    const counted = countedOf(inOrder, round).map((each) => ({
      ...each,
      update: contents.get(each.updateHash) as string,
    }));
    const model = contents.get(base.modelHash) as string;
    const samples = inOrder.reduce((sum, word) => sum + word.samples, 0);
    return signRecord(signer, {
      ...place,
      sheetHash,
      modelHash: hold(putTogether(model, round, counted)),
      stateHash: undefined,
      updates: inOrder.length,
      samples,
      samplesTotal: base.samplesTotal + samples,
    });
  }
}

function wordsOf(stage: Stage, signer: Signer, sheetHash: string): readonly TrainerWord[] {
  const bytes = stage.contents.get(sheetHash);
  return (bytes instanceof Uint8Array ? readSheet(signer, bytes)?.words : undefined) ?? [];
}
