// Access control beside the plainest thing that could do the same, and under whatever bytes may come in.
import * as fc from "fast-check";
import t from "tap";
import { armor, dearmor } from "../../src/access/armor.ts";
import { Audit } from "../../src/access/audit.ts";
import { type AuditAction, decodeEntry, decodeHead } from "../../src/access/audit-log.ts";
import { BanList } from "../../src/access/ban-list.ts";
import { GrantDesk } from "../../src/access/grant-desk.ts";
import { type ExchangeEffect, GrantExchange } from "../../src/access/grant-exchange.ts";
import { decodeGrant } from "../../src/access/grant-statement.ts";
import { GrantBook } from "../../src/access/grants.ts";
import { IdentityLimiter, networkOf } from "../../src/access/identity-limiter.ts";
import { PeerLedger } from "../../src/access/peer-ledger.ts";
import { RateLimits } from "../../src/access/rate-limits.ts";
import { ReplayGuard } from "../../src/access/replay-guard.ts";
import { Requirements } from "../../src/access/requirements.ts";
import { decodeRevocations } from "../../src/access/revocation-list.ts";
import { RoleTable } from "../../src/access/roles.ts";
import { Throttle } from "../../src/access/throttle.ts";
import { Refused } from "../../src/platform/network.ts";
import { nodeHasher } from "../../src/platform/node/hasher.ts";
import { VirtualClock } from "../../src/simulator/virtual-clock.ts";
import { accessGround, accessOptions, TestSigner } from "../support/access.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
t.setTimeout(120_000);
fc.configureGlobal({ seed });

t.test("replay guard: a set that forgets what is 1,024 numbers back", async () => {
  const message = fc.record({
    author: fc.constantFrom("a", "b"),
    // Most in one epoch: a later one makes everything else too old.
    epoch: fc.oneof(
      { weight: 60, arbitrary: fc.constant(1) },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: 2 }) },
    ),
    // Around where windows and blocks begin and end.
    sequence: fc.oneof(
      { weight: 20, arbitrary: fc.integer({ min: 0, max: 70 }) },
      { weight: 20, arbitrary: fc.integer({ min: 990, max: 1_100 }) },
      { weight: 3, arbitrary: fc.integer({ min: 1_100, max: 3_000 }) },
      { weight: 1, arbitrary: fc.constantFrom(2 ** 32, 2 ** 53 - 1, 2 ** 53 - 1_024) },
    ),
  });
  fc.assert(
    fc.property(fc.array(message, { maxLength: 200, size: "max" }), (messages) => {
      const guard = new ReplayGuard({ authorsMax: 8 });
      const model = new Map<string, { epoch: number; top: number; seen: Set<number> }>();
      for (const { author, epoch, sequence } of messages) {
        const known = model.get(author);
        let expected = "fresh";
        if (known === undefined || epoch > known.epoch)
          model.set(author, { epoch, top: sequence, seen: new Set([sequence]) });
        else if (epoch < known.epoch || known.top - sequence >= 1_024) expected = "too-old";
        else if (known.seen.has(sequence)) expected = "replayed";
        else {
          known.seen.add(sequence);
          known.top = Math.max(known.top, sequence);
        }
        const found = guard.accept(author, epoch, sequence);
        if (found !== expected)
          throw new Error(`${author} ${epoch} ${sequence}: ${found}, not ${expected}`);
      }
    }),
    { numRuns: 400 },
  );
});

t.test("rates: never more than burst and rate in any stretch of time", async () => {
  const step = fc.record({
    waitMs: fc.integer({ min: 0, max: 400 }),
    bytes: fc.integer({ min: 0, max: 300 }),
    peer: fc.constantFrom("a", "b"),
  });
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 150, size: "max" }),
      fc.integer({ min: 1, max: 20 }),
      (steps, perSecond) => {
        const rate = { framesPerSecond: perSecond, bytesPerSecond: 500, burstSeconds: 2 };
        const limits = new RateLimits({
          peer: rate,
          global: { framesPerSecond: 1e9, bytesPerSecond: 1e12, burstSeconds: 1 },
          protocols: {},
          peersMax: 8,
        });
        let nowMs = 0;
        const taken: { peer: string; atMs: number; bytes: number }[] = [];
        for (const { waitMs, bytes, peer } of steps) {
          nowMs += waitMs;
          if (limits.take(peer, "/x", bytes, nowMs) === undefined)
            taken.push({ peer, atMs: nowMs, bytes });
        }
        for (const peer of ["a", "b"]) {
          const mine = taken.filter((frame) => frame.peer === peer);
          for (const [from, first] of mine.entries()) {
            const stretch = mine.slice(from);
            let bytes = 0;
            for (const [count, frame] of stretch.entries()) {
              const seconds = (frame.atMs - first.atMs) / 1_000;
              const burst = Math.max(1, perSecond * 2);
              if (count + 1 > burst + seconds * perSecond + 1e-6)
                throw new Error("too many frames");
              // The last frame may take the level below zero, by less than itself.
              if (bytes > 1_000 + seconds * 500 + 1e-6) throw new Error("too many bytes");
              bytes += frame.bytes;
            }
          }
        }
      },
    ),
    { numRuns: 200 },
  );
});

t.test("throttle: what was told and what is counted come to what happened", async () => {
  const step = fc.record({
    waitMs: fc.constantFrom(0, 1, 1_000, 30_000, 61_000),
    key: fc.constantFrom("a", "b", "c", "d", "e"),
    drain: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: "max" }), (steps) => {
      const throttle = new Throttle({ perMinuteMax: 3, keysMax: 3 });
      let nowMs = 0;
      let counted = 0;
      for (const { waitMs, key, drain } of steps) {
        nowMs += waitMs;
        const told = throttle.happened(key, nowMs);
        if (told !== undefined) counted += 1 + told.more;
        if (!drain) continue;
        const { told: late, others } = throttle.drain(nowMs);
        counted += others + late.reduce((sum, { more }) => sum + more, 0);
      }
      for (let minute = 0; minute < 6; minute++) {
        nowMs += 61_000;
        const { told, others } = throttle.drain(nowMs);
        counted += others + told.reduce((sum, { more }) => sum + more, 0);
      }
      if (counted !== steps.length) throw new Error(`${counted} of ${steps.length}`);
    }),
    { numRuns: 300 },
  );
});

t.test(
  "requirements: the longest registered prefix of whole levels, however often it is asked for",
  async () => {
    const level = fc.constantFrom("a", "b", "agent-mesh", "");
    const topic = fc.array(level, { minLength: 1, maxLength: 5 }).map((levels) => levels.join("/"));
    fc.assert(
      fc.property(
        fc.uniqueArray(topic, { maxLength: 8 }),
        fc.array(topic, { maxLength: 30 }),
        (prefixes, topics) => {
          const requirements = new Requirements();
          const registered: string[] = [];
          for (const prefix of prefixes) {
            if (prefix === "" || prefix.startsWith("/") || prefix.endsWith("/")) continue;
            requirements.topics(prefix, { send: prefix });
            registered.push(prefix);
          }
          for (const asked of [...topics, ...topics]) {
            if (asked.startsWith("/")) continue;
            const covering = registered.filter(
              (prefix) => asked === prefix || asked.startsWith(`${prefix}/`),
            );
            const longest = covering.sort((a, b) => b.length - a.length)[0];
            const expected = longest ?? (asked.startsWith("agent-mesh/") ? undefined : "publish");
            if (requirements.of(asked)?.send !== expected)
              throw new Error(`${asked}: not ${expected}`);
          }
        },
      ),
      { numRuns: 300 },
    );
  },
);

t.test("identities: no network lets more in within a minute than it may", async () => {
  const come = fc.record({
    waitMs: fc.integer({ min: 0, max: 20_000 }),
    network: fc.integer({ min: 0, max: 2 }),
    peer: fc.integer({ min: 0, max: 30 }),
  });
  fc.assert(
    fc.property(fc.array(come, { maxLength: 200, size: "max" }), (arrivals) => {
      const limiter = new IdentityLimiter({ identitiesPerMinute: 4, networksMax: 10 });
      let nowMs = 0;
      const admitted: { network: number; peer: number; atMs: number }[] = [];
      for (const { waitMs, network, peer } of arrivals) {
        nowMs += waitMs;
        if (limiter.admits(`10.0.${network}.${peer}`, `p${peer}`, nowMs))
          admitted.push({ network, peer, atMs: nowMs });
      }
      for (const { network, atMs } of admitted) {
        const minute = admitted.filter(
          (other) => other.network === network && other.atMs <= atMs && atMs - other.atMs < 60_000,
        );
        // Those that came first within the minute, and at most as many that came before it and again in it.
        if (new Set(minute.map(({ peer }) => peer)).size > 8) throw new Error("too many");
      }
    }),
    { numRuns: 200 },
  );
  fc.assert(
    fc.property(
      fc.ipV4(),
      (address) =>
        networkOf(`/ip4/${address}/tcp/1`) === `${address.split(".").slice(0, 3).join(".")}.0/24`,
    ),
  );
  fc.assert(
    fc.property(fc.ipV6(), (address) =>
      /^([0-9a-f]{1,4}:){4}:\/64$|\/24$/.test(networkOf(address)),
    ),
  );
  fc.assert(fc.property(fc.string(), (text) => typeof networkOf(text) === "string"));
});

t.test(
  "bans end after their time, whatever the wall clock does, and no reboot begins them anew",
  async () => {
    const step = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({
          do: fc.constant("wait" as const),
          ms: fc.integer({ min: 0, max: 200_000 }),
        }),
      },
      {
        weight: 2,
        arbitrary: fc.record({
          do: fc.constant("jump" as const),
          ms: fc.integer({ min: -1e9, max: 1e9 }),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ do: fc.constant("restart" as const), ms: fc.constant(0) }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ do: fc.constant("reboot" as const), ms: fc.constant(0) }),
      },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12, size: "max" }), async (steps) => {
        const clock = new VirtualClock();
        // The date is never known, so it can neither help nor mislead.
        clock.trusted = false;
        const settings = accessOptions().ban;
        let ground = accessGround("hub", undefined, clock);
        let bans = await BanList.open(ground.parts, { bansMax: 8 });
        const ledgerOf = () =>
          new PeerLedger({
            ...ground.parts,
            self: "hub",
            bans,
            settings,
            onBanned: () => undefined,
          });
        let ledger = ledgerOf();
        for (let at = 0; at < 5; at++) ledger.offence("a", "malformed");
        let goneMs = 0;
        for (const { do: what, ms } of steps) {
          if (what === "wait") {
            await clock.advance(ms);
            goneMs += ms;
          } else if (what === "jump") clock.wallOffsetMs += ms;
          else {
            bans.checkpoint();
            await bans.flush();
            if (what === "reboot") clock.reboot();
            ground = accessGround("hub", ground.store.disk, clock);
            bans = await BanList.open(ground.parts, { bansMax: 8 });
            ledger = ledgerOf();
          }
          if (ledger.isBanned("a") !== goneMs < 600_000) throw new Error(`after ${goneMs} ms`);
        }
      }),
      { numRuns: 60 },
    );
  },
);

t.test("no bytes make a decoder throw", async () => {
  const tools = { signer: new TestSigner("x"), hasher: nodeHasher };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      decodeGrant(bytes, tools);
      decodeRevocations(bytes, tools.signer);
      decodeEntry(bytes);
      decodeHead(bytes);
    }),
    { numRuns: 2_000 },
  );
  fc.assert(
    fc.property(fc.json(), (text) => {
      decodeEntry(Buffer.from(text));
      decodeHead(Buffer.from(text));
    }),
    { numRuns: 500 },
  );
  fc.assert(
    fc.property(fc.string(), (text) => void dearmor(text)),
    { numRuns: 500 },
  );
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 1_024 }),
      fc.constantFrom("AGENT MESH GRANT" as const, "AGENT MESH REVOCATIONS" as const),
      (bytes, label) => {
        const back = dearmor(armor(label, bytes));
        return back?.label === label && Buffer.from(bytes).equals(back.bytes);
      },
    ),
  );
});

async function node(name: string, admin: TestSigner) {
  const ground = accessGround(name);
  const roles = new RoleTable({});
  const book = await GrantBook.open(ground.parts, {
    authorities: [admin.peerId],
    roles,
    grantsMax: 4_096,
  });
  const offences: string[] = [];
  const exchange = new GrantExchange({
    book,
    signer: ground.signer,
    hasher: nodeHasher,
    mayLearn: () => true,
    offence: (_, kind) => void offences.push(kind),
    neighboursMax: 64,
  });
  return {
    ...ground,
    book,
    exchange,
    offences,
    desk: new GrantDesk(ground.parts, roles, book),
    peer: ground.signer.peerId,
  };
}

t.test("messages that were bent on the way break nothing, and give nobody anything", async () => {
  const admin = await node("admin", new TestSigner("admin"));
  const hub = await node("hub", admin.signer);
  const subject = new TestSigner("w").peerId;
  await admin.desk.issue({ subject, roles: ["member"] }, "x");
  const other = await admin.desk.issue(
    { subject: new TestSigner("v").peerId, roles: ["trainer"] },
    "x",
  );
  await admin.desk.revoke(other.id, "x");
  hub.exchange.linkUp(admin.peer);
  const [hello] = admin.exchange.linkUp(hub.peer);
  const effects = [hello!, ...admin.exchange.message(hub.peer, hello!.payload)];
  const samples = [
    ...effects.map(({ payload }) => payload),
    admin.exchange.request(
      hub.peer,
      effects.find(({ kind }) => kind === "ask")?.payload ?? Uint8Array.of(26, 0),
    ),
  ];
  const genuine = new Set(admin.desk.list().map(({ id }) => id));
  const bend = fc.record({
    of: fc.nat(samples.length - 1),
    at: fc.nat(),
    xor: fc.integer({ min: 1, max: 255 }),
    cut: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.oneof(bend, fc.uint8Array({ maxLength: 200 })), (bent) => {
      let payload: Uint8Array;
      if (bent instanceof Uint8Array) payload = bent;
      else {
        payload = Uint8Array.from(samples[bent.of]!);
        const at = bent.at % Math.max(1, payload.length);
        if (bent.cut) payload = payload.slice(0, at);
        else payload[at]! ^= bent.xor;
      }
      hub.exchange.message(admin.peer, payload);
      hub.exchange.answered(admin.peer, payload);
      try {
        hub.exchange.request(admin.peer, payload);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
      }
      for (const { id, subject } of hub.desk.list())
        if (!genuine.has(id)) throw new Error(`${subject} holds ${id}`);
    }),
    { numRuns: 1_500 },
  );
});

t.test(
  "after any history all that are connected know the same grants, and nobody any that was taken back",
  async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant("issue" as const), a: fc.nat(4), b: fc.nat(4) }),
      fc.record({ do: fc.constant("revoke" as const), a: fc.nat(20), b: fc.nat(4) }),
      fc.record({ do: fc.constant("link" as const), a: fc.nat(4), b: fc.nat(4) }),
      fc.record({ do: fc.constant("unlink" as const), a: fc.nat(4), b: fc.nat(4) }),
      fc.record({ do: fc.constant("revoke-all" as const), a: fc.constant(0), b: fc.nat(4) }),
    );
    const admin = new TestSigner("node0");
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25, size: "max" }), async (steps) => {
        const nodes = await Promise.all([0, 1, 2, 3, 4].map((at) => node(`node${at}`, admin)));
        const byPeer = new Map(nodes.map((one) => [one.peer, one]));
        const links = new Set<string>();
        const queue: { from: string; effect: ExchangeEffect }[] = [];
        const push = (from: string, effects: readonly ExchangeEffect[]) =>
          queue.push(...effects.map((effect) => ({ from, effect })));
        const run = () => {
          for (let turn = 0; queue.length > 0; turn++) {
            if (turn > 10_000) throw new Error("it never ends");
            const { from, effect } = queue.shift()!;
            const to = byPeer.get(effect.to)!;
            if (effect.kind === "send") push(effect.to, to.exchange.message(from, effect.payload));
            else
              push(
                from,
                byPeer
                  .get(from)!
                  .exchange.answered(effect.to, to.exchange.request(from, effect.payload)),
              );
          }
        };
        const connect = (a: number, b: number) => {
          const [one, two] = [nodes[Math.min(a, b)]!, nodes[Math.max(a, b)]!];
          if (one === two || links.has(`${one.peer} ${two.peer}`)) return;
          links.add(`${one.peer} ${two.peer}`);
          push(one.peer, one.exchange.linkUp(two.peer));
          push(two.peer, two.exchange.linkUp(one.peer));
        };
        const issuer = nodes[0]!;
        const ids: string[] = [];
        const revoked = new Set<string>();
        for (const { do: what, a, b } of steps) {
          if (what === "issue") {
            const { id } = await issuer.desk.issue(
              { subject: nodes[b]!.peer, roles: ["member"] },
              "x",
            );
            ids.push(id);
            push(issuer.peer, issuer.exchange.announce({ grants: [issuer.book.get(id)!.signed] }));
          } else if (what === "revoke") {
            const id = ids[a % Math.max(1, ids.length)];
            const list = id === undefined ? undefined : await issuer.desk.revoke(id, "x");
            if (list === undefined) continue;
            revoked.add(id!);
            push(issuer.peer, issuer.exchange.announce({ revocations: [list] }));
          } else if (what === "revoke-all") {
            const list = await issuer.desk.revokeAll("x");
            for (const id of ids) revoked.add(id);
            push(issuer.peer, issuer.exchange.announce({ revocations: [list] }));
          } else if (what === "link") connect(a, b);
          else {
            const [one, two] = [nodes[Math.min(a, b)]!, nodes[Math.max(a, b)]!];
            run();
            if (!links.delete(`${one.peer} ${two.peer}`)) continue;
            one.exchange.linkDown(two.peer);
            two.exchange.linkDown(one.peer);
          }
          run();
        }
        for (let at = 1; at < nodes.length; at++) {
          connect(at - 1, at);
          run();
        }
        const wanted = ids.filter((id) => !revoked.has(id)).sort();
        for (const { desk, offences, peer } of nodes) {
          const known = desk
            .list()
            .map(({ id }) => id)
            .sort();
          if (JSON.stringify(known) !== JSON.stringify(wanted))
            throw new Error(`${peer} knows ${known.join(" ")}, not ${wanted.join(" ")}`);
          if (offences.length > 0)
            throw new Error(`honest peers are blamed: ${offences.join(" ")}`);
        }
      }),
      { numRuns: 40 },
    );
  },
);

t.test("the audit log: any byte that is changed shows, and nothing else does", async () => {
  const actions: AuditAction[] = ["grant.issued", "peer.banned", "use.denied"];
  const note = fc.record({
    actor: fc.string({ maxLength: 300 }),
    action: fc.constantFrom(...actions),
    subject: fc.string(),
    outcome: fc.constantFrom("allowed" as const, "denied" as const),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(note, { minLength: 1, maxLength: 20 }),
      fc.nat(),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      fc.boolean(),
      async (notes, entry, at, xor, untouched) => {
        const ground = accessGround("hub");
        const audit = await Audit.open(ground.parts, { entriesMax: 64 });
        for (const one of notes) {
          audit.note(one);
          if (one.outcome === "denied") await audit.flush();
        }
        await audit.close();
        const again = await Audit.open(ground.parts, { entriesMax: 64 });
        if (!untouched) {
          const all = await ground.store.range({ gte: "g/a/", lt: "g/a0", limit: 100 });
          const [key, value] = all[entry % all.length]!;
          const changed = Uint8Array.from(value);
          changed[at % changed.length]! ^= xor;
          await ground.store.write([{ type: "put", key, value: changed }], { durable: true });
        }
        const verdict = await again.verify();
        if (verdict.sound !== untouched) throw new Error(JSON.stringify(verdict));
      },
    ),
    { numRuns: 100 },
  );
});
