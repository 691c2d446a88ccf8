import type { Model } from "./linearizability.ts";

/** What is asked of a register; `key` says which. */
export type RegisterInput =
  | { readonly kind: "read"; readonly key: string }
  | { readonly kind: "write"; readonly key: string; readonly value: string }
  /** Writes `value` where `expected` is there. */
  | {
      readonly kind: "cas";
      readonly key: string;
      readonly expected: string;
      readonly value: string;
    };

/** What it answers: what was read, or whether it was written. */
export type RegisterOutput = string | boolean;

/** Registers for text, empty at first, with compare-and-set. */
export const registerModel: Model<string, RegisterInput, RegisterOutput> = {
  keyOf: ({ key }) => key,
  initial: "",
  isRead: ({ kind }) => kind === "read",
  nameOf: (state) => state,
  step: (state, input, output) => {
    if (input.kind === "read") return output === undefined || output === state ? state : undefined;
    if (input.kind === "write") return input.value;
    const isSet = state === input.expected;
    if (output !== undefined && output !== isSet) return undefined;
    return isSet ? input.value : state;
  },
};

/** What is asked of a store of texts. */
export type TextInput =
  | { readonly kind: "get"; readonly key: string }
  | { readonly kind: "put" | "append"; readonly key: string; readonly value: string };

/** A store of texts, empty at first; only `get` answers something. */
export const textModel: Model<string, TextInput, string> = {
  keyOf: ({ key }) => key,
  initial: "",
  isRead: ({ kind }) => kind === "get",
  nameOf: (state) => state,
  step: (state, input, output) => {
    if (input.kind === "put") return input.value;
    if (input.kind === "append") return state + input.value;
    return output === undefined || output === state ? state : undefined;
  },
};
