import { StoreError } from "../key-value-store.ts";

/** @returns what LevelDB's error means to whoever runs the agent. @param doing what failed, in words */
export function asStoreError(error: unknown, doing: string): StoreError {
  if (error instanceof StoreError) return error;
  // abstract-level wraps the native error; the innermost one says what happened.
  let inner = error;
  while (inner instanceof Error && inner.cause instanceof Error) inner = inner.cause;
  const code = inner instanceof Error && "code" in inner ? String(inner.code) : "";
  const message = inner instanceof Error ? inner.message : String(inner);
  const told = `${doing}: ${message}`;
  const options = { cause: error };
  if (code === "LEVEL_LOCKED")
    return new StoreError(
      "store.locked",
      "the data directory is in use by another process; stop that one or set another --data",
      options,
    );
  if (/no space left|disk quota|ENOSPC|EDQUOT/i.test(message))
    return new StoreError("store.full", told, options);
  // A file that the manifest names and nobody can find is damage too, and so is one that is too short: LevelDB
  // maps as many bytes as the manifest tells.
  if (code === "LEVEL_CORRUPTION" || /corruption|no such file|ldb: invalid argument/i.test(message))
    return new StoreError("store.corrupt", told, options);
  if (/permission denied|read-only file system|EACCES|EROFS/i.test(message))
    return new StoreError(
      "store.failed",
      `${told}; make everything in the data directory writable for the agent's user, or choose another with --data`,
      options,
    );
  if (code === "LEVEL_DATABASE_NOT_OPEN") return new StoreError("store.closed", told, options);
  return new StoreError("store.failed", told, options);
}
