import { firstHead, type RoundHead } from "../../../src/federated/rounds/chain.ts";
import type { RoundPace } from "../../../src/federated/rounds/options.ts";
import {
  signWord,
  type TrainerWord,
  type WordContent,
} from "../../../src/federated/rounds/trainer-word.ts";
import { nodeHasher } from "../../../src/platform/node/hasher.ts";
import { VirtualKeys } from "../../../src/simulator/virtual-signer.ts";

/** A task for tests. */
export const TASK = "0123456789abcdef0123456789abcdef";

/** Rounds that take a second. */
export const PACE: RoundPace = {
  agentsMin: 2,
  agentsMax: 1_024,
  deadlineMs: 1_000,
  takeoverMs: 200,
};

const keys = new VirtualKeys();

/** @returns the signer of that name, the same each time */
export const signerOf = (name: string) => keys.signer(name);

/** @returns the SHA-256 of a text */
export const hashOf = (text: string): string => nodeHasher.sha256Hex(text);

/** Where the task stands before its first round. */
export const HEAD: RoundHead = firstHead(hashOf("the first weights"));

/** @returns a word on the first weights, unless told otherwise */
export function wordBy(name: string, content: Partial<WordContent> = {}): TrainerWord {
  return signWord(signerOf(name), {
    task: TASK,
    baseRound: 0,
    baseHash: HEAD.modelHash,
    updateHash: hashOf(`the update of ${name}`),
    updateBytes: 100,
    samples: 10,
    loss: 0.5,
    edition: 1,
    ...content,
  });
}
