/** The only source of chance. In the simulator every stream derives from one seed. */
export interface Random {
  /** A number in [0, 1). */
  next(): number;
  /** `length` random bytes; unpredictable on the real platform. */
  bytes(length: number): Uint8Array;
  /** An independent stream for one purpose, so that one more draw here changes nothing there. */
  fork(label: string): Random;
}
