/** Slow, salted hashes of passwords that people chose; computed beside the event loop. */
export interface PasswordHasher {
  /** @returns a string that carries algorithm, cost, salt and hash (PHC string format). */
  hash(password: Uint8Array): Promise<string>;
  /**
   * Compares in a time that does not depend on the password.
   * @returns false also for a hash that is none
   */
  verify(password: Uint8Array, hash: string): Promise<boolean>;
}
