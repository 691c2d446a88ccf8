import type { Random } from "../random.ts";

/** The browser's cryptographic random source; it is there without TLS as well. */
export class BrowserRandom implements Random {
  next(): number {
    const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2));
    return ((high & 0x1f_ffff) * 2 ** 32 + low) / 2 ** 53;
  }

  bytes(length: number): Uint8Array {
    return crypto.getRandomValues(new Uint8Array(length));
  }

  fork(_label: string): Random {
    return this;
  }
}
