/** How one update fared. What is accepted or a duplicate is durable. */
export type TakeOutcome = { readonly kind: "accepted" } | { readonly kind: "duplicate" } | Refused;

/** The receiver's verdict on an update that it does not take; `code` is stable. */
export interface Refused {
  readonly kind: "refused";
  readonly code: string;
  readonly reason: string;
  /** Whether sending it again will end the same way. */
  readonly permanent: boolean;
}

/** @returns the verdict that sending it again will not change */
export function refusedForGood(code: string, reason: string): Refused {
  return { kind: "refused", code, reason, permanent: true };
}

/** @returns the verdict that may change */
export function refusedForNow(code: string, reason: string): Refused {
  return { kind: "refused", code, reason, permanent: false };
}
