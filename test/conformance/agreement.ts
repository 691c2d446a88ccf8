import type { Test } from "tap";
import type { Agreement } from "../../src/consensus/agreement/agreement.ts";
import {
  decodeDecision,
  encodeDecision,
  faultOfCertificate,
  faultOfDecision,
} from "../../src/consensus/agreement/certificate.ts";
import type { Decision } from "../../src/consensus/agreement/decision.ts";
import {
  OPEN_OF_ONE_MAX,
  REASON_BYTES_MAX,
  VALUE_BYTES_MAX,
} from "../../src/consensus/agreement/limits.ts";
import { followMembers } from "../../src/consensus/agreement/roster-chain.ts";
import { AgreementError } from "../../src/consensus/ordering/waiting.ts";
import { nodeHasher } from "../../src/platform/node/hasher.ts";
import {
  AgreementWorld,
  type Configure,
  type OrderingUnderTest,
} from "../support/agreement/agreement-world.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array): string => new TextDecoder().decode(value);
const notes = { topic: "notes", deadlineMs: 60_000 };

const judged: Configure = (agreement) => {
  agreement.judge("notes", () => "accept");
  agreement.judge("refused", (value) => ({ reject: `not ${text(value)}` }));
};

/** What is the same at every member. */
const outline = ({ number, proposalId, topic, value, outcome, epoch }: Decision) => ({
  number,
  proposalId,
  topic,
  outcome,
  epoch,
  value: text(value),
});

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "none";
  } catch (error) {
    return error instanceof AgreementError ? error.code : String(error);
  }
}

/**
 * What every agreement keeps to, over any ordering.
 * @param founders enough for one to be missing
 */
export function agreementConformance(
  t: Test,
  name: string,
  founders: number,
  make: () => OrderingUnderTest,
): void {
  const test = (what: string, run: (t: Test, world: AgreementWorld) => Promise<void>): void => {
    t.test(`${name}: ${what}`, async (t) => {
      const world = new AgreementWorld(make(), `${name}/${what}`, founders);
      await world.found(judged);
      await run(t, world);
      await world.close();
    });
  };
  const everywhere = (world: AgreementWorld, id: string): Promise<Decision[]> =>
    world.wait(Promise.all(world.running.map((each) => world.at(each).finalize(id))));
  const authorityOf = (agreement: Agreement, world: AgreementWorld) => ({
    group: world.group,
    protocol: world.protocol,
    list: agreement.members(),
  });

  test("what one proposes is decided alike by all, and proven by a certificate", async (t, world) => {
    const proposal = await world.wait(world.at("b").propose(bytes("rain"), notes));
    t.equal(proposal.proposer, world.peer("b"));
    const decisions = await everywhere(world, proposal.id);
    for (const decision of decisions)
      t.match(outline(decision), { outcome: "accepted", value: "rain", number: 1, epoch: 1 });
    const decision = await world.wait(world.at("a").finalize(proposal.id, { certified: true }));
    const { certificate } = decision;
    if (certificate === undefined) throw new Error("there is no certificate");
    const authority = authorityOf(world.at("a"), world);
    const reader = world.signer("reader");
    const sent = encodeDecision(reader, { value: decision.value, certificate });
    const read = decodeDecision(reader, sent);
    if (read === undefined) throw new Error("the certificate can not be read");
    t.equal(faultOfDecision(read, authority, reader, nodeHasher), undefined);
    const other = { ...read, value: bytes("snow") };
    t.equal(faultOfDecision(other, authority, reader, nodeHasher), "other-value");
    const forged = { ...read.certificate, digest: nodeHasher.sha256Hex("snow") };
    t.equal(faultOfCertificate(forged, authority, reader), "forged");
    const few = { ...read.certificate, signatures: read.certificate.signatures.slice(1) };
    t.equal(faultOfCertificate(few, authority, reader), "too-few-signatures");
    t.same(world.at("c").decisions(0, 10).map(outline), decisions.slice(0, 1).map(outline));
    t.same(world.at("c").proposals(), []);
  });

  test("members vote by hand where a topic has no judge, once each", async (t, world) => {
    const heard: string[] = [];
    world.at("c").onProposal(({ value }) => heard.push(text(value)));
    const terms = { topic: "by-hand", deadlineMs: 60_000 };
    const { id } = await world.wait(world.at("a").propose(bytes("move"), terms));
    await world.until("c hears of it", () => heard.length > 0);
    await world.wait(world.at("a").vote(id, "accept"));
    await world.wait(world.at("a").vote(id, "accept"));
    t.equal(await codeOf(world.wait(world.at("a").vote(id, "reject"))), "consensus.refused");
    t.match(world.at("a").proposals(), [
      { id, votes: [{ member: world.peer("a"), choice: "accept" }] },
    ]);
    const voters = world.founders.slice(1);
    for (const name of voters) {
      await world.until(
        `${name} knows of it`,
        () => world.at(name).decisions(0, 1).length + world.at(name).proposals().length > 0,
      );
      const code = await codeOf(world.wait(world.at(name).vote(id, "accept")));
      t.ok(code === "none" || code === "consensus.refused");
    }
    for (const decision of await everywhere(world, id)) t.equal(decision.outcome, "accepted");
    t.same(heard, ["move"]);
    t.equal(await codeOf(world.at("a").vote(id, "accept")), "consensus.refused", "it is decided");
  });

  test("what members reject is rejected, with their reasons", async (t, world) => {
    const terms = { topic: "refused", deadlineMs: 60_000 };
    const { id } = await world.wait(world.at("a").propose(bytes("this"), terms));
    for (const decision of await everywhere(world, id)) {
      t.equal(decision.outcome, "rejected");
      t.ok(decision.reasons.length > 0);
      t.ok(decision.reasons.every((reason) => reason === "not this"));
    }
    const certified = await world.wait(world.at("b").finalize(id, { certified: true }));
    t.equal(certified.certificate, undefined, "nothing proves what was not accepted");
  });

  test("what is not voted on in time expires", async (t, world) => {
    const terms = { topic: "by-hand", deadlineMs: 2_000 };
    const { id } = await world.wait(world.at("a").propose(bytes("late"), terms));
    await world.wait(world.at("a").vote(id, "accept"));
    await world.run(1_000);
    t.equal(world.at("a").proposals().length, 1, "there is still time");
    for (const decision of await everywhere(world, id)) t.equal(decision.outcome, "expired");
  });

  test("only its proposer cancels a proposal", async (t, world) => {
    const terms = { topic: "by-hand", deadlineMs: 60_000 };
    const { id } = await world.wait(world.at("a").propose(bytes("never mind"), terms));
    await world.until("b knows of it", () => world.at("b").proposals().length > 0);
    t.equal(await codeOf(world.wait(world.at("b").cancel(id))), "consensus.refused");
    await world.wait(world.at("a").cancel(id));
    for (const decision of await everywhere(world, id)) t.equal(decision.outcome, "cancelled");
  });

  test("one that is away is not needed, and catches up", async (t, world) => {
    world.crash("c", true);
    const { id } = await world.wait(world.at("a").propose(bytes("without c"), notes));
    const [decision] = await everywhere(world, id);
    t.equal(decision?.outcome, "accepted");
    await world.start("c");
    const late = await world.wait(world.at("c").finalize(id));
    t.same(outline(late), decision && outline(decision));
  });

  test("whoever leads may die with a proposal under way", async (t, world) => {
    const leader = world.leader();
    const others = world.running.filter((each) => each !== leader);
    const proposer = others[0] ?? "";
    const proposing = world.at(proposer).propose(bytes("under way"), notes);
    await world.run(5);
    world.crash(leader, true);
    const { id } = await world.wait(proposing);
    for (const decision of await everywhere(world, id)) t.equal(decision.outcome, "accepted");
  });

  test("the proposer may die right after it has proposed", async (t, world) => {
    const { id } = await world.wait(world.at("b").propose(bytes("alone"), notes));
    world.crash("b", true);
    for (const decision of await everywhere(world, id)) t.equal(decision.outcome, "accepted");
  });

  test("after all have lost power ballots go on, and nobody contradicts itself", async (t, world) => {
    const before = await world.wait(world.at("a").propose(bytes("before"), notes));
    await everywhere(world, before.id);
    const terms = { topic: "by-hand", deadlineMs: 60_000 };
    const { id } = await world.wait(world.at("a").propose(bytes("through"), terms));
    await world.wait(world.at("a").vote(id, "accept"));
    // Cast, and nobody can have heard of it.
    const waiting = world.founders.slice(1);
    const [last = ""] = waiting.slice(-1);
    await world.until("all know of it", () =>
      waiting.every((each) => world.at(each).proposals().length > 0),
    );
    world.cutOff(last);
    const cast = codeOf(world.at(last).vote(id, "accept"));
    await world.run(200);
    for (const each of world.founders) world.crash(each, true);
    t.equal(await cast, "consensus.stopped");
    world.cutOff();
    world.configure = (agreement) => {
      judged(agreement, "");
      // It has changed its mind, and must not show it.
      agreement.judge("by-hand", () => ({ reject: "no more" }));
    };
    await world.start(last);
    world.configure = judged;
    for (const each of world.founders) if (each !== last) await world.start(each);
    for (const each of world.founders.slice(1, -1)) {
      await world.until(
        `${each} knows of it again`,
        () => world.at(each).proposals().length > 0 || world.at(each).decisions(1, 1).length > 0,
      );
      await codeOf(world.wait(world.at(each).vote(id, "accept")));
    }
    for (const decision of await everywhere(world, id)) t.equal(decision.outcome, "accepted");
    for (const each of world.running) t.same(world.at(each).evidence(), []);
    const again = await world.wait(world.at("b").finalize(before.id, { certified: true }));
    t.equal(text(again.value), "before");
    const fault = faultOfCertificate(
      again.certificate ?? { ...again, signatures: [] },
      authorityOf(world.at("b"), world),
      world.signer("reader"),
    );
    t.equal(fault, undefined, "its certificate is kept as well");
  });

  test("members come and go: votes stay with who was there, and the chain of members can be followed", async (t, world) => {
    const first = { ...authorityOf(world.at("a"), world) };
    const terms = { topic: "by-hand", deadlineMs: 60_000 };
    const { id } = await world.wait(world.at("a").propose(bytes("old"), terms));
    await world.wait(world.at("a").vote(id, "accept"));
    await world.add("a", "g");
    await world.until("all know the new member", () =>
      world.running.every((each) => world.at(each).members().members.length === founders + 1),
    );
    t.equal(await codeOf(world.at("g").vote(id, "accept")), "consensus.refused", "it came later");
    const fresh = await world.wait(world.at("g").propose(bytes("new"), notes));
    for (const decision of await everywhere(world, fresh.id))
      t.match(outline(decision), { outcome: "accepted", epoch: 2 });
    const gone = world.founders.find((each) => each !== "a" && each !== world.leader()) ?? "";
    await world.remove("a", gone);
    world.crash(gone, false);
    await world.until("all know who is gone", () =>
      world.running.every((each) => world.at(each).members().epoch === 3),
    );
    for (const each of world.founders)
      if (each !== gone && each !== "a")
        await codeOf(world.wait(world.at(each).vote(id, "accept")));
    const last = await everywhere(world, id);
    t.same(new Set(last.map(({ outcome }) => outcome)).size, 1);
    await world.until(
      "the changes are certified",
      () => world.at("a").memberChanges(1).length === 2,
    );
    const changes = world.at("a").memberChanges(1);
    const reader = world.signer("reader");
    const followed = followMembers(first, changes, reader, nodeHasher);
    t.same(followed, { list: world.at("a").members(), fault: undefined });
    t.equal(followMembers(first, changes.slice(1), reader, nodeHasher).fault, "other-epoch");
    t.equal(followMembers(first, changes.toReversed(), reader, nodeHasher).fault, "other-epoch");
  });

  test("two propose at the same time, again and again: all decide all, in the same order", async (t, world) => {
    const heard = new Map(world.running.map((each) => [each, [] as string[]]));
    for (const each of world.running)
      world
        .at(each)
        .onDecision(({ number, value }) => heard.get(each)?.push(`${number} ${text(value)}`));
    const proposing = Array.from({ length: 20 }, (_, at) =>
      world.at(at % 2 === 0 ? "a" : "b").propose(bytes(`value ${at}`), notes),
    );
    const proposals = await world.wait(Promise.all(proposing));
    t.equal(new Set(proposals.map(({ id }) => id)).size, 20);
    for (const { id } of proposals) await everywhere(world, id);
    await world.until("all are told", () =>
      [...heard.values()].every(({ length }) => length === 20),
    );
    const [one = [], ...others] = [...heard.values()];
    for (const other of others) t.same(other, one);
    t.same(
      one.map((line) => line.replace(/^\d+ /, "")).toSorted(),
      proposing.map((_, at) => `value ${at}`).toSorted(),
    );
    t.same(
      world
        .at("c")
        .decisions(18, 5)
        .map(({ number }) => number),
      [19, 20],
    );
    t.same(
      world
        .at("c")
        .decisions(0, 3)
        .map(({ number }) => number),
      [1, 2, 3],
    );
  });

  test("whoever is cut off is told that its time is over, and goes on afterwards", async (t, world) => {
    world.cutOff("a");
    const proposing = world.at("a").propose(bytes("alone"), { ...notes, timeoutMs: 3_000 });
    t.equal(await codeOf(world.wait(proposing)), "consensus.timeout");
    const unknown = world.at("b").finalize("00".repeat(16), { timeoutMs: 1_000 });
    t.equal(await codeOf(world.wait(unknown)), "consensus.timeout");
    const abort = new AbortController();
    const cancelled = codeOf(world.at("b").finalize("00".repeat(16), { signal: abort.signal }));
    abort.abort();
    t.equal(await world.wait(cancelled), "consensus.cancelled");
    const { id } = await world.wait(world.at("b").propose(bytes("most"), notes));
    world.cutOff();
    for (const decision of await everywhere(world, id)) t.equal(decision.outcome, "accepted");
    const again = await world.wait(world.at("a").propose(bytes("together"), notes));
    for (const decision of await everywhere(world, again.id)) t.equal(decision.outcome, "accepted");
  });

  test("what is too large, or too much, is refused", async (t, world) => {
    const large = new Uint8Array(VALUE_BYTES_MAX).fill(7);
    const decided = await world.wait(world.at("b").propose(large, notes));
    for (const { value } of await everywhere(world, decided.id)) t.same(value, large);
    await t.rejects(world.at("a").propose(new Uint8Array(VALUE_BYTES_MAX + 1), notes), RangeError);
    for (const topic of ["", "Notes", "members", "a".repeat(65)])
      await t.rejects(world.at("a").propose(bytes("x"), { ...notes, topic }), RangeError);
    await t.rejects(world.at("a").propose(bytes("x"), { ...notes, deadlineMs: 0 }), RangeError);
    const terms = { topic: "by-hand", deadlineMs: 60_000 };
    const proposing = Array.from({ length: OPEN_OF_ONE_MAX }, (_, at) =>
      world.at("a").propose(bytes(`${at}`), terms),
    );
    const [first] = await world.wait(Promise.all(proposing));
    const more = world.at("a").propose(bytes("one more"), terms);
    t.equal(await codeOf(world.wait(more)), "consensus.refused");
    const id = first?.id ?? "";
    await world.wait(world.at("a").vote(id, "reject", "ä".repeat(REASON_BYTES_MAX)));
    const vote = world
      .at("a")
      .proposals()
      .find((proposal) => proposal.id === id)?.votes[0];
    t.equal(vote?.reason, "ä".repeat(REASON_BYTES_MAX / 2), "a reason is cut where it has to be");
  });
}
