import { randomBytes } from "node:crypto";
import t from "tap";
import {
  generateIdentityPem,
  identityKeyFrom,
} from "../../../../src/platform/libp2p/identity-key.ts";

const PURPOSE = "agent-mesh/test/1";

t.test("what was found genuine once stays so, and lends that to nothing else", async (t) => {
  const [signer, other] = [generateIdentityPem(), generateIdentityPem()].map(
    (pem) => identityKeyFrom(pem).signer,
  ) as [ReturnType<typeof identityKeyFrom>["signer"], ReturnType<typeof identityKeyFrom>["signer"]];
  const { publicKey: key } = signer;
  const bytes = randomBytes(300);
  const signature = signer.sign(PURPOSE, bytes);
  const changed = (all: Uint8Array, at: number): Uint8Array =>
    all.map((byte, place) => (place === at ? byte ^ 1 : byte));
  for (const look of ["first", "second"]) {
    t.equal(signer.verify(key, PURPOSE, bytes, signature), true, look);
    t.equal(signer.verify(key, PURPOSE, changed(bytes, 299), signature), false, look);
    t.equal(signer.verify(key, PURPOSE, bytes, changed(signature, 0)), false, look);
    t.equal(signer.verify(other.publicKey, PURPOSE, bytes, signature), false, look);
    t.equal(signer.verify(key, "agent-mesh/test/2", bytes, signature), false, look);
    t.equal(signer.verify(new Uint8Array(32).fill(255), PURPOSE, bytes, signature), false, look);
  }
  // What is signed is the purpose and the bytes, whichever end the border between them moves to.
  t.equal(signer.verify(key, `${PURPOSE}\0a`, bytes, signer.sign(PURPOSE, bytes)), false);
});

t.test("more signatures than are remembered are verified all the same", async (t) => {
  const { signer } = identityKeyFrom(generateIdentityPem());
  const { publicKey: key } = signer;
  const messages = Array.from({ length: 2_500 }, (_, at) => Buffer.from(`message ${at}`));
  const signatures = messages.map((bytes) => signer.sign(PURPOSE, bytes));
  for (let pass = 0; pass < 2; pass++)
    t.ok(messages.every((bytes, at) => signer.verify(key, PURPOSE, bytes, signatures[at]!)));
  t.notOk(messages.some((bytes, at) => signer.verify(key, PURPOSE, bytes, signatures[at ^ 1]!)));
});
