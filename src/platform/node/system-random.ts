import { randomBytes } from "node:crypto";
import type { Random } from "../random.ts";

/** The operating system's cryptographic random source. */
export class SystemRandom implements Random {
  next(): number {
    return randomBytes(6).readUIntBE(0, 6) / 2 ** 48;
  }

  bytes(length: number): Uint8Array {
    return randomBytes(length);
  }

  fork(_label: string): Random {
    return this;
  }
}
