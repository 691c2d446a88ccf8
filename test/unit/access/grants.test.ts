// Grants: what counts, when, and how it is taken back, across restarts and devices.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import t from "tap";
import { dearmor } from "../../../src/access/armor.ts";
import { GrantDesk } from "../../../src/access/grant-desk.ts";
import { GrantBook } from "../../../src/access/grants.ts";
import { RoleTable } from "../../../src/access/roles.ts";
import type { VirtualDisk } from "../../../src/simulator/memory-key-value-store.ts";
import type { VirtualClock } from "../../../src/simulator/virtual-clock.ts";
import { GrantSchema, SignedGrantSchema } from "../../../src/wire/agent_mesh/v1/access_pb.ts";
import { accessGround, TestSigner } from "../../support/access.ts";

const HOUR = 3_600_000;
const worker = new TestSigner("worker");

async function device(
  name: string,
  authorities: readonly TestSigner[] = [],
  {
    disk,
    clock,
    grantsMax = 64,
  }: { disk?: VirtualDisk; clock?: VirtualClock; grantsMax?: number } = {},
) {
  const ground = accessGround(name, disk, clock);
  const roles = new RoleTable({ auditor: ["observe"] });
  const book = await GrantBook.open(ground.parts, {
    authorities: authorities.map(({ peerId }) => peerId),
    roles,
    grantsMax,
  });
  return { ...ground, book, desk: new GrantDesk(ground.parts, roles, book) };
}

t.test("a grant is issued, carried by hand, and counts until it is taken back", async (t) => {
  const admin = await device("admin");
  const hub = await device("hub", [admin.signer]);
  const info = await admin.desk.issue({ subject: worker.peerId, roles: ["trainer"] }, "token:1");
  t.match(info, { issuer: admin.signer.peerId, subject: worker.peerId, state: "live" });
  const text = admin.desk.export(info.id)!;
  t.match(text, /^-----BEGIN AGENT MESH GRANT-----\n/);
  t.equal(hub.book.standingOf(worker.peerId).refusalOf("submit_update"), "access.denied");

  const imported = await hub.desk.import(text.replaceAll("\n", "\r\n  "), "token:2");
  t.match(imported, { kind: "grant", grant: { id: info.id, state: "live" } });
  const standing = hub.book.standingOf(worker.peerId);
  t.equal(standing.refusalOf("submit_update"), undefined);
  t.equal(standing.refusalOf("write_model"), "access.denied");
  t.equal(hub.book.standingOf(worker.peerId), standing, "the answer is remembered");

  const bare = Buffer.from(dearmor(text)!.bytes).toString("base64url");
  t.match(await hub.desk.import(bare, "token:2"), { kind: "grant" }, "twice does no harm");
  t.equal(hub.desk.list().length, 1);
  const again = await device("hub", [admin.signer], { disk: hub.store.disk });
  t.equal(again.book.standingOf(worker.peerId).live, true, "after a restart");

  t.ok(await admin.desk.revoke(info.id, "token:1"));
  t.equal(await admin.desk.revoke(info.id, "token:1"), undefined, "once is enough");
  t.equal(admin.book.standingOf(worker.peerId).live, false);
  await again.desk.import(admin.desk.exportRevocations()!, "token:2");
  t.equal(again.book.standingOf(worker.peerId).live, false);
  await t.rejects(again.desk.import(text, "token:2"), { code: "access.revoked" });
  const later = await device("hub", [admin.signer], { disk: hub.store.disk });
  t.equal(later.book.standingOf(worker.peerId).live, false, "and after another restart");
  t.same(
    admin.notes.map(({ action, actor }) => [action, actor]),
    [
      ["grant.issued", "token:1"],
      ["grant.revoked", "token:1"],
    ],
  );
  t.same(
    admin.events.map(({ type }) => type),
    ["access.granted", "access.revoked"],
  );
});

t.test(
  "whose grants count: authorities', and here the device's own; for ourselves all are kept",
  async (t) => {
    const stranger = await device("stranger");
    const hub = await device("hub");
    const given = await stranger.desk.issue({ subject: worker.peerId, roles: ["member"] }, "x");
    const text = stranger.desk.export(given.id)!;
    await t.rejects(hub.desk.import(text, "x"), { code: "access.unknown-issuer" });
    const own = await hub.desk.issue({ subject: worker.peerId, permissions: ["observe"] }, "x");
    t.equal(hub.book.standingOf(worker.peerId).refusalOf("observe"), undefined);
    await t.rejects(stranger.desk.import(hub.desk.export(own.id)!, "x"), {
      code: "access.unknown-issuer",
    });
    t.same(hub.book.counts(), { "access.unknown-issuer": 1 });

    const wallet = await device("worker");
    const kept = await wallet.desk.import(text, "x");
    t.match(kept, { grant: { state: "unknown-issuer" } });
    t.equal(wallet.book.standingOf(worker.peerId).live, false, "it allows nothing here");
    t.equal(wallet.book.credentials().length, 1, "but can be shown");
    const signed = wallet.book.credentials()[0]!.signed;
    const over = await device("worker");
    t.match(over.book.take(signed), { code: "access.unknown-issuer" }, "not from just anybody");
  },
);

t.test("times are told by a clock that can be believed, or the grant does not count", async (t) => {
  const { book, desk, clock } = await device("hub");
  const nowMs = clock.wallMs();
  await desk.issue(
    {
      subject: worker.peerId,
      roles: ["trainer"],
      notBeforeMs: nowMs + HOUR,
      expiresInMs: 2 * HOUR,
    },
    "x",
  );
  const refusal = () => book.standingOf(worker.peerId).refusalOf("submit_update");
  t.equal(refusal(), "access.not-yet-valid");
  await clock.advance(HOUR);
  t.equal(refusal(), undefined);
  clock.trusted = false;
  t.equal(refusal(), "access.clock-untrusted");
  t.equal(desk.list()[0]?.state, "clock-untrusted");
  await t.rejects(desk.issue({ subject: worker.peerId, roles: ["member"], expiresInMs: 1 }, "x"), {
    code: "access.clock-untrusted",
  });
  await desk.issue({ subject: worker.peerId, roles: ["member"] }, "x");
  t.equal(
    book.standingOf(worker.peerId).refusalOf("publish"),
    undefined,
    "one without an end counts",
  );
  clock.trusted = true;
  await clock.advance(HOUR - 1);
  t.equal(refusal(), undefined, "until just before the end");
  await clock.advance(1);
  t.equal(refusal(), "access.expired");
  t.equal(desk.list()[0]?.state, "expired");
  clock.wallOffsetMs -= HOUR / 2;
  t.equal(refusal(), undefined, "a clock that is set back is believed too");
  t.same(book.standingOf("nobody").refusalOf("publish"), "access.denied");
});

t.test("what was tampered with is refused, and counted", async (t) => {
  const admin = await device("admin");
  const hub = await device("hub", [admin.signer]);
  const { id } = await admin.desk.issue({ subject: worker.peerId, roles: ["member"] }, "x");
  const { signed } = admin.book.get(id)!;
  const grant = fromBinary(GrantSchema, signed.grant);
  const forged = (change: object, signature = signed.signature) =>
    create(SignedGrantSchema, {
      grant: toBinary(GrantSchema, create(GrantSchema, { ...grant, ...change })),
      signature,
    });
  const code = (change: object, signature?: Uint8Array) => {
    const outcome = hub.book.take(forged(change, signature));
    return outcome.taken ? "taken" : outcome.code;
  };
  t.equal(code({ roles: ["operator"] }), "access.forged");
  t.equal(code({ subjectKey: hub.signer.publicKey }), "access.forged");
  t.equal(code({ sequence: 99n }), "access.forged");
  t.equal(code({}, worker.sign("agent-mesh/grant/1", signed.grant)), "access.forged");
  t.equal(
    code({}, admin.signer.sign("agent-mesh/record/1", signed.grant)),
    "access.forged",
    "signed for another purpose",
  );
  t.equal(code({ issuerKey: worker.publicKey }), "access.unknown-issuer");
  t.equal(code({ roles: [] }), "access.malformed");
  t.equal(code({ roles: ["Not a name"] }), "access.malformed");
  t.equal(code({ roles: Array(9).fill("member") }), "access.malformed");
  t.equal(code({ permissions: Array(17).fill("observe") }), "access.malformed");
  t.equal(code({ serial: new Uint8Array(15) }), "access.malformed");
  t.equal(code({ subjectKey: new Uint8Array(31) }), "access.malformed");
  t.equal(code({ notBeforeMs: 5n, expiresMs: 5n }), "access.malformed");
  t.equal(code({ expiresMs: 2n ** 60n }), "access.malformed");
  t.equal(code({}, new Uint8Array(63)), "access.malformed");
  t.equal(hub.book.standingOf(worker.peerId).live, false);
  t.same(hub.book.counts(), {
    "access.forged": 5,
    "access.unknown-issuer": 1,
    "access.malformed": 9,
  });
  t.equal(code({}), "taken", "the true one still goes in");
  for (const text of [
    "",
    "hello",
    "A".repeat(70_000),
    "-----BEGIN AGENT MESH GRANT-----\n\n-----END AGENT MESH GRANT-----",
  ])
    await t.rejects(hub.desk.import(text, "x"), { code: "access.malformed" });
});

t.test("a stored grant that was changed counts for nothing, and is sent to nobody", async (t) => {
  const admin = await device("admin");
  const hub = await device("hub", [admin.signer]);
  const { id } = await admin.desk.issue({ subject: worker.peerId, roles: ["member"] }, "x");
  await hub.desk.import(admin.desk.export(id)!, "x");
  const [[key, value] = ["", new Uint8Array()]] = await hub.store.range({
    gte: "g/g/",
    lt: "g/g0",
    limit: 1,
  });
  const changed = Uint8Array.from(value);
  changed[changed.length - 1]! ^= 1;
  await hub.store.write([{ type: "put", key, value: changed }], { durable: true });
  const again = await device("hub", [admin.signer], { disk: hub.store.disk });
  t.equal(again.signer.verified, 0, "signatures are not checked at the start");
  t.same(again.book.missingFrom(new Set(), 60_000, 64), []);
  t.equal(again.book.standingOf(worker.peerId).live, false);
  t.same(again.book.counts(), { "access.forged": 1 });
  t.equal(again.logged.filter(({ level }) => level === "error").length, 1);
});

t.test("an older list of revocations brings nothing back", async (t) => {
  const admin = await device("admin");
  const hub = await device("hub", [admin.signer]);
  const one = await admin.desk.issue({ subject: worker.peerId, roles: ["member"] }, "x");
  const two = await admin.desk.issue({ subject: worker.peerId, roles: ["trainer"] }, "x");
  const texts = [one, two].map(({ id }) => admin.desk.export(id)!);
  const first = (await admin.desk.revoke(one.id, "x"))!;
  const second = (await admin.desk.revoke(two.id, "x"))!;
  t.equal(hub.book.takeRevocations(second, "peer:x").outcome, "taken");
  t.equal(hub.book.takeRevocations(second, "peer:x").outcome, "known");
  t.equal(hub.book.takeRevocations(first, "peer:x").outcome, "access.replayed");
  t.same(hub.book.counts(), { "access.replayed": 1 });
  for (const text of texts) await t.rejects(hub.desk.import(text, "x"), { code: "access.revoked" });
  const stranger = await device("stranger");
  t.equal(stranger.book.takeRevocations(second, "peer:x").outcome, "access.unknown-issuer");
  const forged = {
    ...second,
    signature: worker.sign("agent-mesh/revocations/1", second.revocations),
  };
  const other = await device("other", [admin.signer]);
  t.equal(other.book.takeRevocations(forged, "peer:x").outcome, "access.forged");
});

t.test("all that was issued so far is taken back at once; what comes after counts", async (t) => {
  const admin = await device("admin");
  const hub = await device("hub", [admin.signer]);
  const old = await admin.desk.issue({ subject: worker.peerId, roles: ["member"] }, "x");
  const text = admin.desk.export(old.id)!;
  const list = await admin.desk.revokeAll("x");
  const fresh = await admin.desk.issue({ subject: worker.peerId, roles: ["trainer"] }, "x");
  t.equal(hub.book.takeRevocations(list, "peer:x").outcome, "taken");
  await t.rejects(hub.desk.import(text, "x"), { code: "access.revoked" });
  await hub.desk.import(admin.desk.export(fresh.id)!, "x");
  t.equal(hub.book.standingOf(worker.peerId).refusalOf("submit_update"), undefined);
});

t.test("an issuer that lost its store takes up again what others know", async (t) => {
  const before = await device("admin");
  const one = await before.desk.issue({ subject: worker.peerId, roles: ["member"] }, "x");
  const text = before.desk.export(one.id)!;
  const list = (await before.desk.revoke(one.id, "x"))!;

  const after = await device("admin");
  const hub = await device("hub", [after.signer]);
  t.equal(hub.book.takeRevocations(list, "peer:x").outcome, "taken");
  const two = await after.desk.issue({ subject: worker.peerId, roles: ["trainer"] }, "x");
  await after.desk.revoke(two.id, "x");
  t.equal(
    after.book.takeRevocations(list, "peer:hub").outcome,
    "taken",
    "its own word, heard from others",
  );
  t.equal(after.book.takeRevocations(list, "peer:hub").outcome, "known");
  await t.rejects(after.desk.import(text, "x"), { code: "access.revoked" });
  const merged = after.book.listOf(after.signer.peerId)!;
  t.equal(merged.serials.size, 2);
  t.equal(
    hub.book.takeRevocations(merged.signed, "peer:x").outcome,
    "taken",
    "later than what they had",
  );
});

t.test("only the issuer takes a grant back, and every bound has a name", async (t) => {
  const admin = await device("admin");
  const hub = await device("hub", [admin.signer], { grantsMax: 20 });
  const { id } = await admin.desk.issue({ subject: worker.peerId, roles: ["member"] }, "x");
  await hub.desk.import(admin.desk.export(id)!, "x");
  await t.rejects(hub.desk.revoke(id, "x"), { code: "access.not-issuer" });
  await t.rejects(admin.desk.issue({ subject: "nobody", roles: ["member"] }, "x"), {
    code: "access.terms",
  });
  await t.rejects(admin.desk.issue({ subject: worker.peerId }, "x"), { code: "access.terms" });
  await t.rejects(admin.desk.issue({ subject: worker.peerId, roles: ["king"] }, "x"), {
    code: "access.unknown-role",
  });
  for (const expiresInMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY])
    await t.rejects(
      admin.desk.issue({ subject: worker.peerId, roles: ["member"], expiresInMs }, "x"),
      { code: "access.terms" },
    );

  for (let at = 0; at < 15; at++)
    await hub.desk.issue(
      { subject: worker.peerId, roles: ["member"], expiresInMs: HOUR + at },
      "x",
    );
  const one = { subject: worker.peerId, roles: ["trainer"] };
  await t.rejects(hub.desk.issue(one, "x"), { code: "access.too-many" }, "sixteen for one node");
  await hub.clock.advance(HOUR);
  await hub.desk.issue(one, "x");
  t.equal(
    hub.desk.list().filter(({ state }) => state === "expired").length,
    0,
    "what has ended gave way",
  );
  for (let at = 0; at < 4; at++)
    await hub.desk.issue({ subject: new TestSigner(`w${at}`).peerId, roles: ["member"] }, "x");
  await t.rejects(
    hub.desk.issue({ subject: new TestSigner("late").peerId, roles: ["member"] }, "x"),
    { code: "access.too-many" },
  );
});

t.test(
  "a full disk: what was not written was not issued, but what was taken back stays so",
  async (t) => {
    const { book, desk, store } = await device("hub");
    const { id } = await desk.issue({ subject: worker.peerId, roles: ["member"] }, "x");
    store.disk.bytesMax = 0;
    await t.rejects(desk.issue({ subject: worker.peerId, roles: ["trainer"] }, "x"), {
      code: "store.full",
    });
    t.equal(book.standingOf(worker.peerId).refusalOf("submit_update"), "access.denied");
    await t.rejects(desk.revoke(id, "x"), { code: "store.full" });
    t.equal(book.standingOf(worker.peerId).live, false);
    store.disk.bytesMax = Number.POSITIVE_INFINITY;
    await book.flush();
    const again = await device("hub", [], { disk: store.disk });
    t.equal(again.book.standingOf(worker.peerId).live, false);
  },
);
