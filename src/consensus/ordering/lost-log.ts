/**
 * What a member has written down can not be read as it was written. It may have promised what it does not know any more,
 * so it must never speak again as the member that it was.
 */
export class LostLogError extends Error {
  override readonly name = "LostLogError";
}
