// Who gets in: certificates, tokens, and certificates that a device makes of its own key.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import type { BridgeCredentials } from "../../src/platform/bridge.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import {
  CertificateError,
  certificateRequest,
  deviceIdentityIn,
  selfSignedCertificate,
} from "../../src/platform/x509/certificates.ts";
import { privateKeyPem } from "../../src/platform/x509/device-key.ts";
import { Authority } from "../support/certificates.ts";
import { anybody, clientOf, codeOf, echo, requestOf, startDoor } from "../support/grpc-door.ts";
import { identity } from "../support/grpc-identity.ts";
import { keptLog } from "../support/kept-log.ts";

const DAY_MS = 86_400_000;
const request = requestOf(Buffer.from("hello"));

t.test("TLS and mTLS: a known authority on both sides, or no call", async (t) => {
  const directory = t.testdir();
  const ours = new Authority(directory, "ours");
  const theirs = new Authority(directory, "theirs");
  const server = ours.issue("gateway");
  const device = ours.issue("pi-1");
  const stranger = theirs.issue("stranger");
  const seen: BridgeCredentials[] = [];
  const files = { certFile: server.cert, keyFile: server.key };
  const { url } = await startDoor(t, echo(), { tls: files });
  const mutual = await startDoor(t, echo(), {
    tls: { ...files, caFile: ours.file },
    authenticate: (credentials) => {
      seen.push(credentials);
      return anybody;
    },
  });
  t.match(url, /^grpcs:/);
  const dial = (to: string, tls: Parameters<typeof clientOf>[2]) =>
    codeOf(clientOf(t, to, tls).exchange(request));
  t.equal(await dial(url, { tls: { caFile: ours.file } }), "nothing thrown");
  t.equal(
    await dial(url, { tls: { caFile: theirs.file } }),
    "bridge.unreachable",
    "wrong authority",
  );
  t.equal(await dial(url, {}), "bridge.unreachable", "an authority the system does not know");
  t.equal(
    await dial(url, { tls: { caFile: ours.file, serverName: "other.example" } }),
    "bridge.unreachable",
    "another name",
  );
  t.equal(await dial(url.replace("grpcs", "grpc"), {}), "bridge.unreachable", "no TLS at all");
  const own = { certFile: device.cert, keyFile: device.key };
  t.equal(await dial(mutual.url, { tls: { caFile: ours.file, ...own } }), "nothing thrown");
  t.equal(seen.length, 1);
  t.ok(seen[0]?.certificate !== undefined, "who authenticates sees the certificate");
  t.equal(
    await dial(mutual.url, { tls: { caFile: ours.file } }),
    "bridge.unreachable",
    "none shown",
  );
  const wrong = { certFile: stranger.cert, keyFile: stranger.key };
  t.equal(await dial(mutual.url, { tls: { caFile: ours.file, ...wrong } }), "bridge.unreachable");
  t.equal(seen.length, 1, "nobody else was asked about");
  await t.rejects(
    startDoor(t, echo(), { tls: { certFile: "/nowhere.pem", keyFile: device.key } }),
    /bridge\.listen\.tls\.certFile: can not read \/nowhere\.pem: no such file/,
  );
  await t.rejects(
    startDoor(t, echo(), { tls: { certFile: server.cert, keyFile: device.key } }),
    /bridge\.listen\.tls: .*can not be used/,
  );
});

t.test("a token is wanted, before anything is read", async (t) => {
  const directory = t.testdir({ good: "s3cret\n", bad: "wrong\n" });
  const { server, url } = await startDoor(t, echo(), {
    authenticate: ({ token }) => (token === "s3cret" ? anybody : undefined),
  });
  const call = (tokenFile?: string): Promise<string> =>
    codeOf(clientOf(t, url, { tokenFile }).exchange(requestOf(Buffer.alloc(1_000_000))));
  t.equal(await call(join(directory, "good")), "nothing thrown");
  t.equal(await call(join(directory, "bad")), "bridge.unauthenticated");
  t.equal(await call(), "bridge.unauthenticated");
  t.equal(await call(join(directory, "none")), "bridge.unreachable", "no such file");
  t.match(server.counters(), { statuses: { OK: 1, UNAUTHENTICATED: 2 } });
  t.ok(server.counters().receivedBytes < 1_100_000, "what strangers sent was not taken");
  const open = clientOf(t, "grpc://192.0.2.1:5001", { tokenFile: join(directory, "good") });
  await t.rejects(open.exchange(request), { message: /a token is sent over grpcs:\/\/ only/ });
});

t.test("devices know each other by certificates of their identity keys", async (t) => {
  const directory = t.testdir();
  const [device, gateway] = [identity("pi-1"), identity("gateway")];
  const nowMs = Date.now();
  const validity = { notBeforeMs: nowMs - DAY_MS, notAfterMs: nowMs + DAY_MS };
  const files = async (name: string, { key, signer }: typeof device) => {
    const subject = {
      agentId: name,
      peerId: signer.peerId,
      dnsNames: ["localhost", `${name}.local`],
    };
    const ips = { ipAddresses: ["127.0.0.1"] };
    const random = new SeededRandom(name);
    const pem = await selfSignedCertificate(key, { ...subject, ...ips }, validity, random);
    const [certFile, keyFile] = [join(directory, `${name}.pem`), join(directory, `${name}.key`)];
    writeFileSync(certFile, pem);
    writeFileSync(keyFile, privateKeyPem(key));
    return { certFile, keyFile };
  };
  const own = await files("pi-1", device);
  const theirs = await files("gateway", gateway);
  const peers: string[] = [];
  const { url } = await startDoor(t, echo(), {
    tls: { ...theirs, caFile: own.certFile },
    authenticate: ({ certificate }) => {
      const found = deviceIdentityIn(certificate!, gateway.signer, nowMs);
      peers.push(found.peerId);
      t.match(found, { agentId: "pi-1", dnsNames: ["localhost", "pi-1.local"] });
      t.same(found.publicKey, device.signer.publicKey);
      return anybody;
    },
  });
  const tls = { caFile: theirs.certFile, ...own };
  t.equal(await codeOf(clientOf(t, url, { tls }).exchange(request)), "nothing thrown");
  t.same(peers, [device.signer.peerId]);
  const text = execFileSync("openssl", ["x509", "-in", own.certFile, "-noout", "-text"]).toString();
  t.match(text, `URI:agent-mesh:peer:${device.signer.peerId}`);
  t.match(text, /Subject: CN ?= ?pi-1/);
});

t.test("a certificate that is not what it says is told from one that is", async (t) => {
  const [device, other] = [identity("pi-1"), identity("gateway")];
  const subject = { agentId: "pi-1", peerId: device.signer.peerId, dnsNames: [] };
  const validity = { notBeforeMs: 1_000_000, notAfterMs: 2_000_000 };
  const random = new SeededRandom(1);
  const pem = await selfSignedCertificate(device.key, subject, validity, random);
  const codeIn = (certificate: string | Uint8Array, nowMs?: number): string => {
    try {
      deviceIdentityIn(certificate, other.signer, nowMs);
      return "fine";
    } catch (error) {
      return error instanceof CertificateError ? error.code : String(error);
    }
  };
  t.equal(codeIn(pem), "fine");
  t.equal(codeIn(pem, 1_500_000), "fine");
  t.equal(codeIn(pem, 2_500_000), "certificate.not-valid-now");
  t.equal(codeIn(pem, 500_000), "certificate.not-valid-now");
  const posing = { ...subject, peerId: other.signer.peerId };
  const forged = await selfSignedCertificate(device.key, posing, validity, random);
  t.equal(codeIn(forged), "certificate.other-key", "somebody else's peer id");
  const directory = t.testdir();
  const foreign = new Authority(directory).issue("pi-1");
  t.equal(codeIn(readFileSync(foreign.cert, "utf8")), "certificate.other-key", "not Ed25519");
  for (const garbage of ["", "hello", new Uint8Array(50), new Uint8Array(20_000)])
    t.equal(codeIn(garbage), "certificate.malformed");
  const csr = join(directory, "pi.csr");
  writeFileSync(csr, await certificateRequest(device.key, { ...subject, dnsNames: ["pi.local"] }));
  const text = execFileSync("openssl", ["req", "-in", csr, "-noout", "-text", "-verify"], {
    stdio: ["ignore", "pipe", "pipe"],
  }).toString();
  t.match(text, "DNS:pi.local");
  t.match(text, "ED25519");
  await t.rejects(selfSignedCertificate(device.key, { ...subject, agentId: "" }, validity, random));
});

t.test(
  "a renewed certificate counts without a restart; a broken one changes nothing",
  async (t) => {
    const directory = t.testdir();
    const [first, second] = [new Authority(directory, "first"), new Authority(directory, "second")];
    const server = first.issue("gateway");
    let look = (): void => undefined;
    const logger = keptLog();
    const { url } = await startDoor(t, echo(), {
      tls: { certFile: server.cert, keyFile: server.key },
      logger,
      clock: {
        wallMs: () => 0,
        wallTrusted: () => false,
        monotonicMs: () => 0,
        bootId: "boot",
        setTimer(name, _delayMs, callback) {
          if (name === "bridge.certificates") look = callback;
          const timer = name === "bridge.stop" ? setTimeout(callback, 50) : undefined;
          return { cancel: () => clearTimeout(timer) };
        },
      },
    });
    const call = (caFile: string): Promise<string> =>
      codeOf(clientOf(t, url, { tls: { caFile } }).exchange(request));
    t.equal(await call(first.file), "nothing thrown");
    writeFileSync(server.cert, "nonsense");
    look();
    t.match(logger.lines.at(-1), { level: "error", message: /stays in force/ });
    t.equal(await call(first.file), "nothing thrown");
    const renewed = second.issue("gateway", "renewed");
    writeFileSync(server.cert, readFileSync(renewed.cert));
    writeFileSync(server.key, readFileSync(renewed.key));
    look();
    t.equal(await call(second.file), "nothing thrown");
  },
);
