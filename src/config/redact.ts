const SECRET = /password$|passwordhash$|secret$|token$/i;

/** @returns a copy to show: the values of keys that hold secrets are replaced. */
export function redacted<T>(value: T): T {
  if (Array.isArray(value)) return value.map((item: unknown) => redacted(item)) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      SECRET.test(key) && typeof inner === "string" ? "(redacted)" : redacted(inner as unknown),
    ]),
  ) as T;
}
