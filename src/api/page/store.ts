/** A value that components watch; listeners are called after each change. */
export interface Store<S> {
  get(): S;
  /** Replaces the named fields. */
  set(patch: Partial<S>): void;
  /** @returns the function that ends the subscription. */
  subscribe(listener: () => void): () => void;
}

/** @returns a store holding `initial`. */
export function createStore<S extends object>(initial: S): Store<S> {
  let state = initial;
  const listeners = new Set<() => void>();
  return {
    get: () => state,
    set(patch) {
      state = { ...state, ...patch };
      for (const listener of listeners) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
