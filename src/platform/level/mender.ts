import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { open, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ClassicLevel } from "classic-level";
import type { StoreRepair } from "../key-value-store.ts";
import { StoreError } from "../key-value-store.ts";
import { encodeLog, scanLog } from "./log-records.ts";
import { tablesOf } from "./manifest.ts";
import { Quarantine } from "./quarantine.ts";
import { asStoreError } from "./store-error.ts";
import { scanTable } from "./table-scan.ts";

const CASES_MAX = 4;
const QUARANTINE_BYTES_MAX = 64 * 1024 * 1024;
const REPAIRS_KEPT = 16;

/** Past what repairs reach one by one. */
const UNKNOWN_GENERATION = 1_000;
const UNSORTED = " unsorted";
const SUSPICIOUS_ATTEMPTS = 2;

/** What is kept beside the store, in `store.generation`. */
interface State {
  readonly generation: number;
  readonly unsorted: boolean;
}

/** A pair whose value does not match its checksum. */
export type DamagedEntry = readonly [key: string, sealed: Buffer];

/**
 * Makes a damaged store whole: keeps a copy of the damage, saves what can be saved, and counts a new
 * generation before anybody can write to what is left.
 */
export class Mender {
  readonly #directory: string;
  readonly #quarantine: Quarantine;
  readonly #onRepaired: (repair: StoreRepair) => void;
  readonly #repairs: StoreRepair[] = [];
  #state: State;

  /** @param directory of the store; quarantine and generation are kept beside it */
  constructor(directory: string, onRepaired: (repair: StoreRepair) => void) {
    this.#directory = directory;
    this.#quarantine = new Quarantine(join(dirname(directory), "quarantine"), {
      casesMax: CASES_MAX,
      bytesMax: QUARANTINE_BYTES_MAX,
    });
    this.#onRepaired = onRepaired;
    this.#state = readState(`${directory}.generation`);
  }

  get generation(): number {
    return this.#state.generation;
  }

  /** Whether the store was put together again, and its tables lie in no order yet. */
  get mustSort(): boolean {
    return this.#state.unsorted;
  }

  get repairs(): readonly StoreRepair[] {
    return this.#repairs;
  }

  /**
   * Looks for damage that LevelDB passes over in silence when it opens: a missing CURRENT makes it delete
   * every table, a damaged or missing log costs what was in it.
   */
  async beforeOpening(): Promise<void> {
    const attempts = this.#countOpening();
    const files = filesOf(this.#directory);
    const tables = files.filter((name) => /\.(ldb|sst)$/.test(name));
    const logs = files.filter((name) => name.endsWith(".log"));
    if (!files.includes("CURRENT")) {
      // A crash at the very first start leaves neither tables nor logs.
      if (tables.length + logs.length > 0) await this.rebuild("the file CURRENT is missing");
      return;
    }
    if (logs.length === 0 && !isNew(this.#directory)) {
      await this.#logs("the log is missing", []);
      return;
    }
    const damaged: { name: string; mended: Buffer }[] = [];
    let reason = "";
    for (const name of logs) {
      const { records, damage } = scanLog(await readFile(join(this.#directory, name)));
      if (damage === undefined) continue;
      damaged.push({ name, mended: encodeLog(records) });
      reason ||= `${name}: ${damage}`;
    }
    if (damaged.length > 0) await this.#logs(reason, damaged);
    if (attempts < SUSPICIOUS_ATTEMPTS) return;
    // A table that was being written when the process was killed is of no account: LevelDB deletes it.
    const manifest = readFileSync(join(this.#directory, "CURRENT"), "latin1").trim();
    const used = filesOf(this.#directory).includes(manifest)
      ? tablesOf(await readFile(join(this.#directory, manifest)))
      : undefined;
    const [table] = await this.#damagedTables(used);
    if (table !== undefined) await this.rebuild(`${table.name}: ${table.damage}`);
  }

  /** It was opened, and nothing has happened for a while, or it was closed. */
  proven(): void {
    rmSync(`${this.#directory}.opening`, { force: true });
  }

  /**
   * LevelDB ends the whole process over some kinds of damage. Whoever starts it again would see that again,
   * so what died soon after it was opened, twice in a row, is looked through before it is opened a third time.
   * @returns how often that happened
   */
  #countOpening(): number {
    const file = `${this.#directory}.opening`;
    const attempts = existsSync(file) ? statSync(file).size : 0;
    try {
      appendFileSync(file, ".");
    } catch {
      // On a full or read-only disk this is not what matters.
    }
    return attempts;
  }

  async #damagedTables(
    used?: ReadonlySet<number>,
  ): Promise<{ name: string; damage: string; records: readonly Buffer[] }[]> {
    const damaged = [];
    for (const name of filesOf(this.#directory)) {
      if (!/\.(ldb|sst)$/.test(name)) continue;
      if (used?.has(Number.parseInt(name, 10)) === false) continue;
      const { damage, records } = scanTable(await readFile(join(this.#directory, name)));
      if (damage !== undefined) damaged.push({ name, damage, records });
    }
    return damaged;
  }

  /** Puts the store together again from the files that can be read. The database must be closed. */
  async rebuild(reason: string): Promise<void> {
    await this.#refuseIfInUse();
    const folder = await this.#quarantine.open(Date.now());
    await this.#quarantine.keepFiles(folder, this.#directory);
    await this.#nextGeneration(true);
    for (const { name, records } of await this.#damagedTables()) {
      // A log of the same number holds what can be read of it; LevelDB makes a table of that again.
      const log = join(this.#directory, name.replace(/\.\w+$/, ".log"));
      if (records.length > 0) await replaceFile(log, encodeLog(records), ".dbtmp");
      await rm(join(this.#directory, name));
    }
    try {
      await ClassicLevel.repair(this.#directory);
    } catch (error) {
      throw asStoreError(error, `repairing ${this.#directory}`);
    }
    // LevelDB sets aside here what it took apart; the quarantine has it already.
    await rm(join(this.#directory, "lost"), { recursive: true, force: true });
    this.#tell("rebuilt", reason, folder);
  }

  /** Nothing helped: the store goes away as it is, and the next one begins empty. */
  async replace(reason: string): Promise<void> {
    await this.#refuseIfInUse();
    const folder = await this.#quarantine.open(Date.now());
    await this.#nextGeneration(false);
    await this.#quarantine.moveStore(folder, this.#directory);
    this.#tell("replaced", reason, folder);
  }

  /** The tables are in order again. */
  async sorted(): Promise<void> {
    await this.#keepState({ ...this.#state, unsorted: false });
  }

  /** Keeps entries that are about to be deleted. */
  async setAside(entries: readonly DamagedEntry[]): Promise<void> {
    const folder = await this.#quarantine.open(Date.now());
    const lines = entries.map(([key, sealed]) =>
      JSON.stringify({ key, value: sealed.toString("base64") }),
    );
    await this.#quarantine.note(folder, "entries.jsonl", `${lines.join("\n")}\n`);
    await this.#nextGeneration(false);
    const reason = `${entries.length} entries do not match their checksums, the first is ${JSON.stringify(entries[0]?.[0])}`;
    this.#tell("entries", reason, folder);
  }

  async #logs(reason: string, damaged: readonly { name: string; mended: Buffer }[]): Promise<void> {
    await this.#refuseIfInUse();
    const folder = await this.#quarantine.open(Date.now());
    await this.#quarantine.keepFiles(folder, this.#directory);
    await this.#nextGeneration(false);
    for (const { name, mended } of damaged)
      await replaceFile(join(this.#directory, name), mended, ".dbtmp");
    this.#tell("log", reason, folder);
  }

  /** Before anything is changed: another agent may be at work here, and all is well with it. */
  async #refuseIfInUse(): Promise<void> {
    const database = new ClassicLevel(this.#directory, {
      createIfMissing: false,
      errorIfExists: true,
    });
    try {
      await database.open();
    } catch (error) {
      // It can not be opened this way, but LevelDB takes the lock before it finds out.
      const failure = asStoreError(error, `opening ${this.#directory}`);
      if (failure.code === "store.locked") throw failure;
      return;
    }
    await database.close();
    throw new StoreError("store.failed", `${this.#directory} can not be locked`);
  }

  #nextGeneration(unsorted: boolean): Promise<void> {
    return this.#keepState({ generation: this.#state.generation + 1, unsorted });
  }

  async #keepState(state: State): Promise<void> {
    const text = `${state.generation}${state.unsorted ? UNSORTED : ""}\n`;
    await replaceFile(`${this.#directory}.generation`, Buffer.from(text), ".new");
    this.#state = state;
  }

  #tell(kind: StoreRepair["kind"], reason: string, quarantine: string): void {
    const repair: StoreRepair = { atMs: Date.now(), kind, reason, quarantine };
    this.#repairs.push(repair);
    if (this.#repairs.length > REPAIRS_KEPT) this.#repairs.shift();
    this.#onRepaired(repair);
  }
}

function filesOf(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw asStoreError(error, `opening ${directory}`);
  }
}

/** The first manifest belongs to a store that was never opened to its end. */
function isNew(directory: string): boolean {
  const current = readFileSync(join(directory, "CURRENT"), "latin1");
  return current.trim() === "MANIFEST-000001";
}

/** @returns 0 where there is none; a file that is no number is damage too, and must not lead backwards. */
function readState(file: string): State {
  let text: string;
  try {
    text = readFileSync(file, "latin1").trim();
  } catch {
    return { generation: 0, unsorted: false };
  }
  const unsorted = text.endsWith(UNSORTED);
  const digits = unsorted ? text.slice(0, -UNSORTED.length) : text;
  const generation = /^\d{1,9}$/.test(digits) ? Number(digits) : UNKNOWN_GENERATION;
  return { generation, unsorted };
}

async function replaceFile(path: string, content: Uint8Array, suffix: string): Promise<void> {
  const temporary = `${path}${suffix}`;
  {
    await using file = await open(temporary, "w", 0o600);
    await file.writeFile(content);
    await file.sync();
  }
  await rename(temporary, path);
  await using directory = await open(dirname(path), "r");
  await directory.sync();
}
