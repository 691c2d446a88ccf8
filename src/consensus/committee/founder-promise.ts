import type { KeyValueStore, StoreOperation } from "../../platform/key-value-store.ts";

const KEY = "k/promise";

/** This node has signed a founding, and has not begun in that group yet. */
export interface FounderPromise {
  readonly group: string;
  /** Of the store when it was made. After a repair nobody knows whether the group has begun meanwhile. */
  readonly generation: number;
}

/** @returns what makes a promise; it has to be durable before the signature is given away */
export function promiseOperation(store: KeyValueStore, group: string): StoreOperation {
  const text = JSON.stringify({ group, generation: store.generation });
  return { type: "put", key: KEY, value: new TextEncoder().encode(text) };
}

/** @returns what ends a promise, when the group has begun here */
export function promiseKept(): StoreOperation {
  return { type: "del", key: KEY };
}

/** @returns the promise that stands; undefined where there is none @throws StoreError */
export async function readPromise(store: KeyValueStore): Promise<FounderPromise | undefined> {
  const value = await store.get(KEY);
  if (value === undefined) return undefined;
  try {
    const { group, generation } = JSON.parse(new TextDecoder().decode(value)) as Record<
      string,
      unknown
    >;
    if (typeof group === "string" && generation === store.generation) return { group, generation };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  // Whatever it was, it does not allow to begin anew.
  return undefined;
}
