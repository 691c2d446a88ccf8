import type { PeerId } from "../../platform/signer.ts";
import type { GuestTurn } from "./guest-effects.ts";
import { encodeRequest } from "./relay-codec.ts";

type Body = Parameters<typeof encodeRequest>[0] & { readonly case: string };
/** What can be asked of a host. */
export type QuestionKind = Body["case"];

/** How long an answer is waited for; to a poll longer than a host takes when there is nothing to tell. */
const TIMEOUT_MS: Readonly<Record<QuestionKind, number>> = {
  hello: 10_000,
  batch: 30_000,
  poll: 25_000,
  marks: 10_000,
};

/** What a guest has asked and waits for: one question of each kind. Pure. */
export class Questions {
  #attempt = 0;
  readonly #open = new Map<QuestionKind, number>();

  ask({ effects }: GuestTurn, to: PeerId, body: Body): void {
    const attempt = ++this.#attempt;
    const timeoutMs = TIMEOUT_MS[body.case];
    this.#open.set(body.case, attempt);
    effects.push({ kind: "ask", to, bytes: encodeRequest(body), attempt, timeoutMs });
  }

  isOpen(kind: QuestionKind): boolean {
    return this.#open.has(kind);
  }

  /** It was answered, or will not be. @returns what it was; undefined where nobody waits for it any more */
  close(attempt: number): QuestionKind | undefined {
    for (const [kind, open] of this.#open)
      if (open === attempt) {
        this.#open.delete(kind);
        return kind;
      }
    return undefined;
  }

  /** Nobody waits for any answer any more. */
  clear(): void {
    this.#open.clear();
  }
}
