import { faultBehind, type RoundHead } from "./chain.ts";
import type { SheetHistory } from "./history.ts";
import type { RoundPace } from "./options.ts";
import type { RoundRecord } from "./round-record.ts";
import type { Sheet } from "./sheet.ts";

/** @returns why a record can not be right behind that head, whatever its sheet says; undefined where it may be */
export function faultOfRecord(
  record: RoundRecord,
  head: RoundHead,
  { agentsMin, agentsMax }: RoundPace,
): string | undefined {
  if (record.updates < agentsMin) return `${record.updates} updates, ${agentsMin} at least`;
  if (record.updates > agentsMax) return `${record.updates} updates, ${agentsMax} at most`;
  return faultBehind(head, record);
}

/**
 * Holds a sheet against its record and the sheets before it. Its words were found signed when it was read.
 * @returns what is wrong; undefined where the record may be of that sheet; `not known yet` where nothing is wrong, but an older sheet is
 * missing that could tell more
 */
export function faultOfSheet(
  sheet: Sheet,
  record: RoundRecord,
  history: SheetHistory,
): string | undefined {
  if (sheet.task !== record.task || sheet.round !== record.round) return "a sheet of another round";
  if (sheet.baseHash !== record.baseHash) return "a sheet on another base";
  if (sheet.previousSheetHash !== record.previousSheetHash) return "a sheet behind another one";
  if (sheet.words.length !== record.updates) return "its updates do not add up";
  let samples = 0;
  let unknown: string | undefined;
  const updates = new Set<string>();
  for (const word of sheet.words) {
    const fault = history.faultOf(word);
    if (fault === "not known yet") unknown = fault;
    else if (fault !== undefined) return `the word of ${word.trainer} is ${fault}`;
    if (updates.has(word.updateHash)) return `the update of ${word.trainer} is another's`;
    updates.add(word.updateHash);
    samples += word.samples;
  }
  return samples === record.samples ? unknown : "its samples do not add up";
}
