import type { RelayRefusal, RelayWelcome } from "../../wire/agent_mesh/v1/relay_pb.ts";
import { routeFault, type WayTerms } from "./host-choice.ts";

/** Why a guest's session with a host is over, or never begins. */
export type SessionEnd =
  /** The host said no, or no update can go its way. */
  | ({ readonly kind: "refused" } & Pick<RelayRefusal, "detail" | "retryAfterMs">)
  /** It gave no answer, or none that can be read. */
  | { readonly kind: "lost"; readonly why: string }
  /** An update has come through more agents than it allows. */
  | { readonly kind: "too-far"; readonly passedMax: number };

/** A host's way may be another one after so long. */
const WAY_RETRY_MS = 60_000;

/** @returns the end that a host's no is */
export function refused({ detail, retryAfterMs }: RelayRefusal): SessionEnd {
  return { kind: "refused", detail, retryAfterMs };
}

/** @returns the end that a host's way is, where no update can go it */
export function wayEnd(
  { route, passedMax }: Pick<RelayWelcome, "route" | "passedMax">,
  terms: WayTerms,
): SessionEnd | undefined {
  const detail = routeFault(route, passedMax, terms);
  return detail === undefined ? undefined : { kind: "refused", detail, retryAfterMs: WAY_RETRY_MS };
}
