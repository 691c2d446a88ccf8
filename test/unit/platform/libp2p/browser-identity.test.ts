import * as fc from "fast-check";
import t from "tap";
import { SessionStore } from "../../../../src/platform/browser/session-store.ts";
import { browserIdentity } from "../../../../src/platform/libp2p/browser-identity.ts";
import {
  generateIdentityPem,
  identityKeyFrom,
} from "../../../../src/platform/libp2p/identity-key.ts";
import { FakeStorage } from "../../../support/fake-storage.ts";

t.test("a browser signs as RFC 8032 says (7.1, test 1)", async (t) => {
  const seed = Buffer.from(
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    "hex",
  );
  t.equal(
    Buffer.from(browserIdentity(seed).signer.publicKey).toString("hex"),
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
  );
  t.throws(() => browserIdentity(seed.subarray(1)), RangeError);
});

t.test("browser and agent take each other's signatures and names", async (t) => {
  const agent = identityKeyFrom(generateIdentityPem()).signer;
  const { signer: browser, privateKey } = browserIdentity(new Uint8Array(32).fill(7));
  t.equal(agent.peerIdOf(browser.publicKey), browser.peerId);
  t.same(agent.publicKeyOf(browser.peerId), browser.publicKey);
  t.same(browser.publicKeyOf(agent.peerId), agent.publicKey);
  t.equal(browser.publicKeyOf("nobody"), undefined);
  t.same(privateKey.publicKey.raw, browser.publicKey);
  fc.assert(
    fc.property(fc.string(), fc.uint8Array({ maxLength: 300 }), (purpose, bytes) => {
      const [a, b] = [agent.sign(purpose, bytes), browser.sign(purpose, bytes)];
      return (
        agent.verify(browser.publicKey, purpose, bytes, b) &&
        browser.verify(agent.publicKey, purpose, bytes, a) &&
        !browser.verify(agent.publicKey, `${purpose}x`, bytes, a) &&
        !browser.verify(agent.publicKey, purpose, bytes, a.subarray(1))
      );
    }),
    { numRuns: 25 },
  );
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.uint8Array({ minLength: 64, maxLength: 64 }),
      (key, signature) =>
        browser.verify(key, "p", key, signature) === agent.verify(key, "p", key, signature),
    ),
    { numRuns: 50 },
  );
});

t.test("a batch that the browser's storage can not hold changes nothing", async (t) => {
  const store = new SessionStore(new FakeStorage(200));
  await store.write([{ type: "put", key: "a", value: new Uint8Array(100) }], { durable: true });
  const put = (key: string) => ({ type: "put" as const, key, value: new Uint8Array(60) });
  const refused = await store
    .write([{ type: "del", key: "a" }, put("b"), put("c"), put("d")], { durable: true })
    .catch((error: unknown) => error);
  t.match(refused, { code: "store.full" });
  t.equal((await store.get("a"))?.length, 100);
  t.equal(await store.get("b"), undefined);
});
