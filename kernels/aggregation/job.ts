/** Where threads meet; `aggregation-memory.ts` says the same to JavaScript. */
export const TICKET: usize = 64;
export const DONE: usize = 72;
export const WAKE: usize = 128;
export const STOP: usize = 132;
const JOB: usize = 192;

/** The parameters of a job, each 4 bytes; addresses are in bytes. */
export namespace job {
  // @ts-ignore: decorator
  @inline export function kind(): i32 { return load<i32>(JOB); }
  /** Vectors. */
  // @ts-ignore: decorator
  @inline export function rows(): i32 { return load<i32>(JOB, 4); }
  /** Coordinates. */
  // @ts-ignore: decorator
  @inline export function length(): i32 { return load<i32>(JOB, 8); }
  /** `trim` or `keep`. */
  // @ts-ignore: decorator
  @inline export function count(): i32 { return load<i32>(JOB, 12); }
  /** One address for each row, and eight more that repeat the last. */
  // @ts-ignore: decorator
  @inline export function table(): usize { return load<u32>(JOB, 16); }
  /** One float64 for each row. */
  // @ts-ignore: decorator
  @inline export function factors(): usize { return load<u32>(JOB, 20); }
  /** One float32 for each coordinate; one 32-bit flag for each row where values are looked for that are not finite. */
  // @ts-ignore: decorator
  @inline export function result(): usize { return load<u32>(JOB, 24); }
  /** The distances of each block, `slotBytes` apart. */
  // @ts-ignore: decorator
  @inline export function slots(): usize { return load<u32>(JOB, 28); }
  // @ts-ignore: decorator
  @inline export function slotBytes(): usize { return load<u32>(JOB, 32); }
  // @ts-ignore: decorator
  @inline export function point(): usize { return load<u32>(JOB, 36); }
  /** Comparators, `least << 16 | greatest`. */
  // @ts-ignore: decorator
  @inline export function network(): usize { return load<u32>(JOB, 40); }
  // @ts-ignore: decorator
  @inline export function comparators(): i32 { return load<i32>(JOB, 44); }
  /** Coordinates that one thread takes at a time. */
  // @ts-ignore: decorator
  @inline export function blockLength(): i32 { return load<i32>(JOB, 48); }
  // @ts-ignore: decorator
  @inline export function row(index: i32): usize { return load<u32>(table() + (<usize>index << 2)); }
}
