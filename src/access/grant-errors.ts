/** A grant could not be issued, taken in or taken back; `code` is stable. */
export class GrantError extends Error {
  override readonly name = "GrantError";
  readonly code:
    | "access.malformed"
    | "access.forged"
    | "access.unknown-issuer"
    | "access.expired"
    | "access.revoked"
    | "access.replayed"
    | "access.too-many"
    | "access.clock-untrusted"
    | "access.unknown-role"
    | "access.terms"
    | "access.not-issuer";
  constructor(code: GrantError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

/** Why something that came from elsewhere is not taken in. */
export type IntakeRefusal = Extract<
  GrantError["code"],
  | "access.malformed"
  | "access.forged"
  | "access.unknown-issuer"
  | "access.expired"
  | "access.revoked"
  | "access.replayed"
  | "access.too-many"
>;

const MEANINGS: Readonly<Record<IntakeRefusal, string>> = {
  "access.malformed": "this is no grant, or not a whole one",
  "access.forged": "the signature is not the issuer's",
  "access.unknown-issuer": "the issuer is none of mesh.access.authorities",
  "access.expired": "the grant has ended",
  "access.revoked": "the issuer took the grant back",
  "access.replayed": "a later list of the issuer is here already",
  "access.too-many": "there are too many grants already",
};

/** @returns the refusal as an error in words. */
export function intakeError(code: IntakeRefusal): GrantError {
  return new GrantError(code, MEANINGS[code]);
}
