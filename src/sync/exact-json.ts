/** ECMA-262 proposal "JSON.parse source text access", which Node.js 24 has and its type definitions have not. */
interface ExactJson {
  rawJSON(text: string): object;
  isRawJSON(value: unknown): boolean;
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown;
}

const json = JSON as unknown as ExactJson;

/** Numbers long enough, or with an exponent, so that a double may not hold all of their digits. */
const DOUBTFUL = /[\d.]{16}|\d[eE]/;

/**
 * Parses JSON without losing digits: a number that a double can not hold, such as a 64-bit identifier, is kept
 * as its text and comes out of `JSON.stringify` as it went in.
 * @throws SyntaxError
 */
export function parseExactly(text: string): unknown {
  if (!DOUBTFUL.test(text)) return JSON.parse(text) as unknown;
  return json.parse(text, (_key, value, { source }) =>
    typeof value === "number" && source !== undefined && String(value) !== source
      ? json.rawJSON(source)
      : value,
  );
}

/** Whether the value is a number that {@link parseExactly} kept as text. */
export function isExactNumber(value: unknown): boolean {
  return json.isRawJSON(value);
}
