import * as Type from "typebox";
import { Check } from "typebox/value";
import { DataError } from "../data/data-error.ts";
import { strict } from "../options/schema-words.ts";

/** Versions that are kept; of older ones the parameters may go. */
export const VERSIONS_MAX = 8;
/** Larger books are no books. */
const BYTES_MAX = 64 * 1024;
const FORMAT = 1;

const number = Type.Number({ minimum: 0 });
const round = Type.Integer({ minimum: 0 });
const bookForm = Type.Object(
  {
    versions: Type.Array(
      Type.Object(
        {
          round,
          hash: Type.String({ pattern: "^[0-9a-f]{64}$" }),
          sinceMs: number,
          state: Type.Enum(["serving", "canary", "waiting", "retired", "rejected"]),
          holdOutError: number,
          threshold: Type.Optional(number),
        },
        strict,
      ),
      { maxItems: VERSIONS_MAX },
    ),
    pinnedRound: Type.Optional(round),
    trial: Type.Optional(
      Type.Object({ round, windows: round, canaryError: number, servingError: number }, strict),
    ),
  },
  strict,
);

/** A model that came of a round. */
export interface ModelVersion {
  readonly round: number;
  /** Hash of its parameters. */
  readonly hash: string;
  /** When it became what it is, ms since 1970. */
  readonly sinceMs: number;
  /**
   * `serving`: judges; `canary`: on trial in its shadow; `waiting`: the next on trial; `retired`: it served or was passed over and may come
   * back; `rejected`: it was worse, or was rolled back from, and does not come back by itself.
   */
  readonly state: "serving" | "canary" | "waiting" | "retired" | "rejected";
  /** Mean error on what this device holds out, when it came. */
  readonly holdOutError: number;
  /** What it judges by since it was first ready: a restart in the middle of a failure must not take the failure for normal. */
  readonly threshold?: number;
}

/** All that is known of a task's models on this device; immutable. */
export interface VersionBook {
  /** Newest round first, no two of one round. */
  readonly versions: readonly ModelVersion[];
  /** Set by hand: it serves, and nothing replaces it. */
  readonly pinnedRound?: number;
  readonly trial?: Trial;
}

/** Sums over the windows that both judged. */
export interface Trial {
  readonly round: number;
  readonly windows: number;
  readonly canaryError: number;
  readonly servingError: number;
}

/** Before the first model. */
export const noVersions: VersionBook = { versions: [] };

/** @returns the one that serves */
export function servingOf({ versions }: VersionBook): ModelVersion | undefined {
  return versions.find(({ state }) => state === "serving");
}

/** @returns the one on trial */
export function canaryOf({ versions }: VersionBook): ModelVersion | undefined {
  return versions.find(({ state }) => state === "canary");
}

/** @returns JSON */
export function encodeVersions(book: VersionBook): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ format: FORMAT, book }));
}

/** @throws DataError `data.format` for what is no book, or one that contradicts itself */
export function decodeVersions(bytes: Uint8Array): VersionBook {
  if (bytes.length > BYTES_MAX) throw broken(`${bytes.length} bytes, ${BYTES_MAX} at most`);
  let content: unknown;
  try {
    content = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw broken("it is no JSON", error);
  }
  const { format, book } = (content ?? {}) as Partial<Record<string, unknown>>;
  if (format !== FORMAT || !Check(bookForm, book)) throw broken("its form is another");
  const { versions, pinnedRound, trial } = book;
  const many = (state: string): number => versions.filter((each) => each.state === state).length;
  if (many("serving") > 1 || many("canary") > 1 || many("waiting") > 1)
    throw broken("two versions have a place that is one's alone");
  if (versions.some(({ round: each }, at) => each >= (versions[at - 1]?.round ?? Infinity)))
    throw broken("its rounds do not descend");
  if (pinnedRound !== undefined && !versions.some((each) => each.round === pinnedRound))
    throw broken("the version that is pinned is not there");
  if (trial?.round !== versions.find(({ state }) => state === "canary")?.round)
    throw broken("its trial is of another version than the canary");
  return book;
}

function broken(why: string, cause?: unknown): DataError {
  return new DataError("data.format", `this is no book of model versions: ${why}`, { cause });
}
