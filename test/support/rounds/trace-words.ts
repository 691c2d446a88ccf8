import type { RoundsTalk } from "../../../src/federated/rounds/talk.ts";
import type { Stage } from "./plan.ts";

/** @returns the message in words; undefined for what would fill the page */
export function wordsFor(talk: RoundsTalk, { names, hasher }: Stage): string | undefined {
  switch (talk.kind) {
    case "begun":
      return `I train on round ${talk.baseRound}`;
    case "word": {
      const { updateHash, samples } = talk.word;
      return `my update ${updateHash.slice(0, 6)}, of ${samples} samples`;
    }
    case "head":
      return `round ${talk.round} is decided`;
    case "submit":
      return `propose this for me: ${hasher.sha256Hex(talk.record).slice(0, 6)}`;
    case "evidence":
      return `${names.get(talk.evidence.accused) ?? "somebody"} said two things`;
    case "wanted":
      return undefined;
    default:
      return talk satisfies never;
  }
}
