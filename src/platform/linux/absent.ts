/** @returns a reading that is not there, with the reason that people are shown. */
export function absent(reason: string): { readonly available: false; readonly reason: string } {
  return { available: false, reason };
}
