// Both sides of a connection may be of different versions: whatever one encrypts, js-libp2p's own Noise reads, and the other way round.
import { randomBytes } from "node:crypto";
import { defaultCrypto } from "@libp2p/noise/crypto";
import t from "tap";
import { Uint8ArrayList } from "uint8arraylist";
import { noiseCrypto } from "../../../../src/platform/libp2p/noise-crypto.ts";

const KEY = new Uint8Array(randomBytes(32));
const NONCE = new Uint8Array(12);
const NOTHING = new Uint8Array(0);
/** Around where another implementation takes over, and the longest that Noise has. */
const LENGTHS = [0, 1, 783, 784, 799, 800, 801, 1_183, 1_199, 1_200, 5_000, 65_519];

for (const [name, one, other] of [
  ["to js-libp2p's", noiseCrypto, defaultCrypto],
  ["from js-libp2p's", defaultCrypto, noiseCrypto],
] as const)
  t.test(name, async (t) => {
    for (const length of LENGTHS) {
      const plain = new Uint8Array(randomBytes(length));
      const half = length >> 1;
      const pieces = new Uint8ArrayList(plain.subarray(0, half), plain.subarray(half));
      for (const said of [plain, pieces]) {
        const secret = one.chaCha20Poly1305Encrypt(said, NONCE, NOTHING, KEY).subarray();
        const heard = other.chaCha20Poly1305Decrypt(secret, NONCE, NOTHING, KEY).subarray();
        t.ok(Buffer.from(heard).equals(plain), `${length} bytes`);
        const bent = Uint8Array.from(secret);
        bent[length] = (bent[length] ?? 0) ^ 1;
        t.throws(
          () => other.chaCha20Poly1305Decrypt(bent, NONCE, NOTHING, KEY),
          `${length} bytes and a bit that is another`,
        );
      }
    }
  });

t.test("each key encrypts as itself", async (t) => {
  const plain = new Uint8Array(2_000);
  const another = new Uint8Array(randomBytes(32));
  const secret = noiseCrypto.chaCha20Poly1305Encrypt(plain, NONCE, NOTHING, KEY);
  t.throws(() => noiseCrypto.chaCha20Poly1305Decrypt(secret, NONCE, NOTHING, another));
});
