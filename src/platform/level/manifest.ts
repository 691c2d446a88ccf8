import { scanLog } from "./log-records.ts";

// LevelDB, db/version_edit.cc: tags of what an edit says.
const COMPARATOR = 1;
const COMPACT_POINTER = 5;
const DELETED_FILE = 6;
const NEW_FILE = 7;

/** @returns numbers of the tables that a manifest says are in use; undefined when it can not be read whole. */
export function tablesOf(manifest: Buffer): Set<number> | undefined {
  const { records, damage } = scanLog(manifest);
  if (damage !== undefined || records.length === 0) return undefined;
  const tables = new Set<number>();
  try {
    for (const record of records) applyEdit(record, tables);
    return tables;
  } catch {
    return undefined;
  }
}

/** @throws RangeError when it is no edit. */
function applyEdit(edit: Buffer, tables: Set<number>): void {
  let at = 0;
  const number = (): number => {
    let value = 0;
    for (let digit = 0; digit < 10; digit++) {
      const byte = edit.readUInt8(at++);
      value += (byte & 0x7f) * 0x80 ** digit;
      if (byte < 0x80) return value;
    }
    throw new RangeError("a number is too long");
  };
  const skipText = (): void => {
    const length = number();
    at += length;
  };
  while (at < edit.length) {
    const tag = number();
    if (tag === COMPARATOR) skipText();
    else if (tag === COMPACT_POINTER) {
      number();
      skipText();
    } else if (tag === DELETED_FILE) {
      number();
      tables.delete(number());
    } else if (tag === NEW_FILE) {
      number();
      tables.add(number());
      number();
      skipText();
      skipText();
    } else if (tag === 2 || tag === 3 || tag === 4 || tag === 9) number();
    else throw new RangeError(`unknown tag ${tag}`);
  }
}
