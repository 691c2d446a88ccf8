import type { Static } from "typebox";
import * as Type from "typebox";
import type { Seal } from "../access/seal.ts";
import { ApiProblem } from "./problem.ts";

const LIMIT_MAX = 500;

const cursorParameter = Type.Optional(
  Type.String({
    maxLength: 2_048,
    description: "`nextCursor` of the previous page, as it is.",
  }),
);

/** `limit` and `cursor`, and the parameters that filter this list. */
export function listQuery<Filters extends Record<string, Type.TSchema>>(
  filters: Filters,
  limits: { limitDefault: number; limitMax: number } = { limitDefault: 50, limitMax: LIMIT_MAX },
) {
  // Optional for the client, never absent for the handler: validation fills in the default.
  const limit: Type.TInteger = Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: limits.limitMax,
      default: limits.limitDefault,
      description: "At most this many items.",
    }),
  );
  return Type.Object(
    {
      limit,
      cursor: cursorParameter,
      ...filters,
    },
    { additionalProperties: false },
  );
}

/** Parameters of a list that has no filters. */
export const plainListQuery = listQuery({});

/** @returns a cursor that only the same list with the same filters takes back. */
export function encodeCursor(
  seal: Seal,
  list: string,
  filter: string,
  place: string | number,
): string {
  return seal.seal(JSON.stringify([list, filter, place]));
}

/**
 * A place may be a key of the store, so only cursors that we sealed are believed: with one of their own making
 * clients could look where they shall not.
 * @returns the place that the cursor stands for, or undefined without a cursor.
 * @throws ApiProblem `request.cursor`
 */
export function decodeCursor<Place extends "string" | "number">(
  seal: Seal,
  list: string,
  filter: string,
  cursor: string | undefined,
  kind: Place,
): (Place extends "string" ? string : number) | undefined {
  if (cursor === undefined) return undefined;
  const text = seal.open(cursor);
  if (text === undefined) throw new ApiProblem("request.cursor");
  const parts: unknown = JSON.parse(text);
  const sound =
    Array.isArray(parts) && parts[0] === list && parts[1] === filter && typeof parts[2] === kind;
  if (!sound) throw new ApiProblem("request.cursor");
  return (parts as unknown[])[2] as Place extends "string" ? string : number;
}

/** One page of a list that is wholly in memory. */
export function pageOf<Item>(
  seal: Seal,
  list: string,
  items: readonly Item[],
  query: Static<typeof plainListQuery>,
): { items: readonly Item[]; nextCursor?: string } {
  const begin = decodeCursor(seal, list, "", query.cursor, "number") ?? 0;
  const end = begin + query.limit;
  return {
    items: items.slice(begin, end),
    ...(end < items.length ? { nextCursor: encodeCursor(seal, list, "", end) } : {}),
  };
}
