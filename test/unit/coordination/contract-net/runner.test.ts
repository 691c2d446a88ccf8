// What the runner does with links, with those that have none, and with what peers say.
import t from "tap";
import { defaultDelegationOptions } from "../../../../src/coordination/contract-net/delegation.ts";
import type {
  CallChange,
  ContractChange,
} from "../../../../src/coordination/contract-net/effects.ts";
import {
  decodeMessage,
  encodeMessage,
} from "../../../../src/coordination/contract-net/message-codec.ts";
import {
  defaultInitiatorOptions,
  defaultParticipantOptions,
} from "../../../../src/coordination/contract-net/options.ts";
import {
  defaultReputationOptions,
  Reputation,
} from "../../../../src/coordination/contract-net/reputation.ts";
import { ContractRunner } from "../../../../src/coordination/contract-net/runner.ts";
import { defaultBidWeights } from "../../../../src/coordination/contract-net/score.ts";
import type { MemberChange } from "../../../../src/mesh/membership/member.ts";
import { CachingVerifier } from "../../../../src/mesh/records/record-verifier.ts";
import { NetworkError, type Service } from "../../../../src/platform/network.ts";
import { silentLogger } from "../../../../src/platform/silent-logger.ts";
import { VirtualClock } from "../../../../src/simulator/virtual-clock.ts";
import { VirtualKeys } from "../../../../src/simulator/virtual-signer.ts";
import { TASK, TERMS } from "../../../support/coordination/contract-world.ts";
import { recordOf } from "../../../support/role-records.ts";

const LINK = {
  peer: "near",
  direction: "outbound",
  transport: "tcp",
  address: "/ip4/192.0.2.1/tcp/4001",
  openedAtMs: 0,
} as const;

function running({ isDoneAtOnce = false } = {}) {
  const clock = new VirtualClock();
  const sent: string[] = [];
  const offences: string[] = [];
  const calls: CallChange[] = [];
  const contracts: ContractChange[] = [];
  let service: Service = {};
  const note = (way: string, to: string, bytes: Uint8Array): void =>
    void sent.push(`${way} ${to} ${decodeMessage(bytes)?.kind}`);
  const runner = new ContractRunner({
    self: "self",
    epoch: 1,
    initiator: defaultInitiatorOptions,
    participant: defaultParticipantOptions,
    delegation: defaultDelegationOptions,
    weights: defaultBidWeights,
    reputation: new Reputation(defaultReputationOptions),
    hasSkill: () => true,
    appraise: () => ({ cost: 1, endsInMs: 100 }),
    isMember: () => true,
    clock,
    logger: silentLogger,
    gate: { offence: (peer, kind) => void offences.push(`${peer} ${kind}`) },
    network: {
      serve: (_, served) => {
        service = served;
      },
      links: () => [LINK],
      send: (to, _, bytes) => {
        note("link", to, bytes);
        return Promise.resolve();
      },
    },
    reach: (to, bytes) => {
      note("reach", to, bytes);
      return to === "nowhere"
        ? Promise.reject(new NetworkError("network.unreachable", "no way"))
        : Promise.resolve();
    },
    onCall: (change) => void calls.push(change),
    onContract: (change) => {
      contracts.push(change);
      const { initiator, call } = change;
      if (isDoneAtOnce && change.kind === "begin")
        runner.work({ kind: "done", initiator, call, output: "1" });
    },
  });
  return { runner, clock, sent, offences, calls, contracts, service: () => service };
}

t.test("linked agents are told over the link, others over one that is opened", async (t) => {
  const { runner, sent, clock } = running();
  t.equal(runner.call(TASK, TERMS, ["near"]), undefined, "before the start nothing is said");
  runner.start();
  t.equal(runner.call(TASK, TERMS, ["near", "far", "nowhere"]), "1-1");
  t.same(sent, ["link near announce", "reach far announce", "reach nowhere announce"]);
  runner.take({ kind: "link-down", peer: "near" });
  runner.take({ kind: "link-up", link: { ...LINK, peer: "far" } });
  await clock.advance(1_000);
  t.same(sent.slice(3), ["reach near announce", "link far announce", "reach nowhere announce"]);
  runner.stop();
  await clock.advance(60_000);
  t.equal(sent.length, 6, "after the stop nothing is said");
  t.same(clock.waiting, []);
});

t.test("messages and requests are heard alike; what is none is an offence", async (t) => {
  const { runner, sent, offences, contracts, service } = running();
  const hear = (bytes: Uint8Array) => service().message?.("near", bytes);
  hear(Uint8Array.of(1));
  t.same(offences, [], "before the start nothing is heard");
  runner.start();
  hear(Uint8Array.of(1));
  t.same(offences, ["near malformed-message"]);
  t.equal(runner.counters()["malformed-message"], 1);
  const announce = encodeMessage({
    kind: "announce",
    call: "9-1",
    task: TASK,
    route: { root: "far/9-1", path: ["far"], hopsLeft: 7 },
    bidWithinMs: 2_000,
    holdMs: 2_000,
    expiresInMs: 60_000,
  });
  const answer = await service().request?.("far", announce);
  t.equal(answer?.length, 0);
  t.same(sent, ["reach far bid"]);
  await service().request?.("far", encodeMessage({ kind: "award", call: "9-1" }));
  t.match(contracts, [{ kind: "begin", initiator: "far", call: "9-1", task: TASK }]);
});

t.test("what is told comes in its order, though one thing leads to another at once", async (t) => {
  const { runner, calls, contracts } = running({ isDoneAtOnce: true });
  runner.start();
  runner.call(TASK, TERMS, ["self"]);
  t.same(
    calls.map(({ kind }) => kind),
    ["bid", "awarded", "accepted", "result", "ended"],
  );
  t.equal(contracts.length, 1);
});

t.test("an agent that died, left or began anew has lost what it was given", async (t) => {
  const keys = new VirtualKeys();
  const verifier = new CachingVerifier(keys.signer("verifier"), 10);
  const signer = keys.signer("near");
  const record = recordOf(signer, verifier, { supply: "mains", cores: 4, memoryGiB: 4 });
  const after = { record: { ...record, epoch: record.epoch + 1 }, state: "alive" } as const;
  const before = { record, state: "alive" } as const;
  const changes: readonly MemberChange[] = [
    { kind: "dead", peer: "near", before, after: before },
    { kind: "left", peer: "near", before, after: before },
    { kind: "updated", peer: "near", before, after },
  ];
  for (const change of changes) {
    const { runner, calls, service } = running();
    runner.start();
    const call = runner.call(TASK, TERMS, ["near"]) ?? "";
    const bid = encodeMessage({ kind: "bid", call, cost: 1, endsInMs: 100 });
    service().message?.("near", bid);
    t.equal(calls.at(-1)?.kind, "awarded");
    runner.member({ ...change, before, after: before, kind: "updated" });
    t.equal(calls.at(-1)?.kind, "awarded", "a newer record alone is nothing");
    runner.member(change);
    t.match(calls.slice(-2), [{ kind: "lost", reason: "gone" }, { kind: "ended" }], change.kind);
  }
});
