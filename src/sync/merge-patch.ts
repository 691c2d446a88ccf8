import { isExactNumber } from "./exact-json.ts";

/** A JSON object, which is what states and patches are. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Deeper documents are not patched: a patch must not be able to exhaust the stack. */
const DEPTH_MAX = 64;

/**
 * RFC 7396: objects are merged member by member, null removes, and everything else replaces.
 * @returns a new value; neither argument is changed
 * @throws RangeError when the patch is nested too deeply
 */
export function applyMergePatch(target: unknown, patch: unknown, depth = 0): unknown {
  if (!isObject(patch)) return patch;
  if (depth > DEPTH_MAX) throw new RangeError(`a patch may be nested ${DEPTH_MAX} deep`);
  const result = new Map(isObject(target) ? Object.entries(target) : []);
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) result.delete(name);
    else result.set(name, applyMergePatch(result.get(name), value, depth + 1));
  }
  return toObject(result);
}

/**
 * @returns a patch that makes `target` of `base`, or undefined where no patch can: neither is it possible to
 *   set a member to null (RFC 7396 section 1), nor does it help to patch what is no object
 */
export function diffMergePatch(base: unknown, target: unknown): JsonObject | undefined {
  if (!isObject(base) || !isObject(target)) return undefined;
  return holdsNull(target, 0) ? undefined : diffObjects(base, target);
}

function diffObjects(base: JsonObject, target: JsonObject): JsonObject {
  const patch = new Map<string, unknown>();
  for (const name of Object.keys(base)) if (!Object.hasOwn(target, name)) patch.set(name, null);
  for (const [name, value] of Object.entries(target)) {
    const old = Object.hasOwn(base, name) ? base[name] : undefined;
    if (isObject(value) && isObject(old)) {
      const inner = diffObjects(old, value);
      if (Object.keys(inner).length > 0) patch.set(name, inner);
    } else if (old === undefined || !isSame(old, value)) patch.set(name, value);
  }
  return toObject(patch);
}

/** A null that a patch would have to set; those within arrays are replaced as they are. */
function holdsNull(value: unknown, depth: number): boolean {
  if (value === null || depth > DEPTH_MAX) return true;
  return isObject(value) && Object.values(value).some((member) => holdsNull(member, depth + 1));
}

function isSame(left: unknown, right: unknown): boolean {
  return left === right || JSON.stringify(left) === JSON.stringify(right);
}

/** Whether the value is a JSON object: not an array, nor a number that was kept as text. */
export function isObject(value: unknown): value is JsonObject {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && !isExactNumber(value)
  );
}

/** Also a member called `__proto__` becomes a plain member. */
function toObject(members: ReadonlyMap<string, unknown>): JsonObject {
  return Object.fromEntries(members);
}
