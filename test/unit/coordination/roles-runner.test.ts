// What the runner does with a network that does not do as it should.
import t from "tap";
import type { RoleChange } from "../../../src/coordination/roles/effects.ts";
import { decodeMessage, encodeMessage } from "../../../src/coordination/roles/message-codec.ts";
import { defaultRoleOptions } from "../../../src/coordination/roles/options.ts";
import { ROLES_PROTOCOL, RolesRunner } from "../../../src/coordination/roles/runner.ts";
import type { Member } from "../../../src/mesh/membership/member.ts";
import { CachingVerifier } from "../../../src/mesh/records/record-verifier.ts";
import { type Link, NetworkError, type Service } from "../../../src/platform/network.ts";
import { SeededRandom } from "../../../src/platform/seeded-random.ts";
import { silentLogger } from "../../../src/platform/silent-logger.ts";
import { VirtualClock } from "../../../src/simulator/virtual-clock.ts";
import { VirtualKeys } from "../../../src/simulator/virtual-signer.ts";
import { recordOf } from "../../support/role-records.ts";

const linkTo = (peer: string): Link => ({
  peer,
  direction: "outbound",
  transport: "tcp",
  address: "/ip4/192.0.2.1/tcp/4001",
  openedAtMs: 0,
});

function running({ hangs = false } = {}) {
  const signer = new VirtualKeys().signer("self");
  const verifier = new CachingVerifier(signer, 10);
  const record = recordOf(signer, verifier, { supply: "mains", cores: 4, memoryGiB: 4 });
  const self: Member = { record, state: "alive", sinceMs: 0, heardOfAtMs: 0, recordAtMs: 0 };
  const clock = new VirtualClock();
  const sent: { to: string; bytes: Uint8Array }[] = [];
  const changes: RoleChange[] = [];
  const offences: string[] = [];
  let service: Service = {};
  const runner = new RolesRunner({
    signer,
    verifier,
    clock,
    random: new SeededRandom("runner"),
    logger: silentLogger,
    options: defaultRoleOptions,
    gate: { offence: (peer, kind) => void offences.push(`${peer} ${kind}`) },
    members: {
      self: record.peerId,
      all: () => [self],
      get: (peer) => (peer === record.peerId ? self : undefined),
      isPartial: () => false,
    },
    network: {
      serve: (protocol, served) => {
        if (protocol.id === ROLES_PROTOCOL.id) service = served;
      },
      links: () => [linkTo("neighbour"), linkTo("foreign")],
      send: (to, _protocol, bytes) => {
        sent.push({ to, bytes });
        if (to === "foreign")
          return Promise.reject(new NetworkError("network.unsupported", "what is that?"));
        return hangs ? new Promise(() => undefined) : Promise.resolve();
      },
    },
    onChange: (change) => void changes.push(change),
  });
  const hear = (from: string, bytes: Uint8Array) => service.message?.(from, bytes);
  return {
    runner,
    clock,
    sent,
    changes,
    offences,
    hear,
    ask: () => service.request?.("x", new Uint8Array()),
  };
}

t.test("it leads alone, and leaves nodes alone that do not know roles", async (t) => {
  const { runner, clock, sent, changes, offences, hear, ask } = running();
  hear("neighbour", Uint8Array.of(1));
  t.same([sent, offences], [[], []], "before the start nothing is said or heard");
  runner.start();
  t.same(
    sent.map(({ to }) => to),
    ["neighbour", "foreign"],
  );
  await clock.advance(20_000);
  t.match(runner.inForce()?.assignment, { term: 1, quorum: true });
  t.equal(runner.negotiation.roles.coordination, "coordinator");
  t.ok(changes.some(({ kind }) => kind === "assignment"));
  t.ok(changes.some(({ kind }) => kind === "roles"));
  t.same(runner.counters(), { adopted: 1, made: 1 });
  t.equal(sent.filter(({ to }) => to === "foreign").length, 1, "once, and it was not understood");
  hear("foreign", encodeMessage({ ask: "compare" }));
  t.equal(sent.at(-1)?.to, "foreign", "it has learnt to speak");
  hear("neighbour", Uint8Array.of(255));
  t.same(offences, ["neighbour malformed-message"]);
  t.throws(ask, { code: "service.unsupported" });
  runner.take({ kind: "link-down", peer: "neighbour" });
  const before = sent.length;
  await clock.advance(200_000);
  t.same(
    sent.slice(before).filter(({ to }) => to === "neighbour"),
    [],
  );
  runner.take({ kind: "link-up", link: linkTo("neighbour") });
  t.equal(sent.at(-1)?.to, "neighbour");
});

t.test("it gives up what it leads when it stops, and does not wait for ever", async (t) => {
  const { runner, clock, sent } = running();
  runner.start();
  await clock.advance(20_000);
  await runner.stop();
  const last = sent.findLast(({ to }) => to === "neighbour");
  t.ok(last !== undefined && decodeMessage(last.bytes)?.renewal, "the last sign of life");
  const { length } = sent;
  runner.member({ peer: "neighbour", kind: "dead" });
  await clock.advance(600_000);
  t.equal(sent.length, length, "and that was all");
  await runner.stop();

  const slow = running({ hangs: true });
  slow.runner.start();
  await slow.clock.advance(20_000);
  let stopped = false;
  const stopping = slow.runner.stop().then(() => {
    stopped = true;
  });
  await slow.clock.advance(400);
  t.notOk(stopped);
  await slow.clock.advance(200);
  await stopping;
});
