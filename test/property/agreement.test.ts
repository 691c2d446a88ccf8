import * as fc from "fast-check";
import t from "tap";
import { faultOfDecision } from "../../src/consensus/agreement/certificate.ts";
import type { Decision } from "../../src/consensus/agreement/decision.ts";
import type { Item } from "../../src/consensus/agreement/entry.ts";
import { isProof } from "../../src/consensus/agreement/evidence.ts";
import type { MemberList } from "../../src/consensus/agreement/member-list.ts";
import { followMembers } from "../../src/consensus/agreement/roster-chain.ts";
import type { OrderingProtocol } from "../../src/consensus/ordering/ordering.ts";
import { nodeHasher } from "../../src/platform/node/hasher.ts";
import { BoxUnderTest, GROUP, idOf } from "../support/agreement/box.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed, numRuns: Number(process.env["FC_RUNS"] ?? 120) });

const NAMES = ["a", "b", "c", "d", "e", "f", "g"];
const VALUES = ["value", "other"];

/** What comes next in the order. */
type Step =
  | { readonly kind: "members"; readonly names: readonly string[] }
  | { readonly kind: "entry"; readonly words: readonly Said[] }
  | { readonly kind: "garbage"; readonly bytes: Uint8Array }
  | {
      readonly kind: "damaged";
      readonly words: readonly Said[];
      readonly at: number;
      readonly byte: number;
    }
  | { readonly kind: "restart" };

interface Said {
  readonly by: string;
  readonly what:
    | "propose"
    | "accept"
    | "reject"
    | "expire"
    | "cancel"
    | "vouch"
    | "vouch for members";
  readonly proposal: number;
  readonly value: number;
}

const said: fc.Arbitrary<Said> = fc.record({
  by: fc.constantFrom(...NAMES, "x"),
  what: fc.oneof(
    { weight: 3, arbitrary: fc.constant("propose" as const) },
    { weight: 8, arbitrary: fc.constant("accept" as const) },
    { weight: 2, arbitrary: fc.constant("reject" as const) },
    { weight: 1, arbitrary: fc.constant("expire" as const) },
    { weight: 1, arbitrary: fc.constant("cancel" as const) },
    { weight: 6, arbitrary: fc.constant("vouch" as const) },
    { weight: 3, arbitrary: fc.constant("vouch for members" as const) },
  ),
  proposal: fc.integer({ min: 1, max: 4 }),
  value: fc.oneof(
    { weight: 9, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.constant(1) },
  ),
});
const words = fc.array(said, { minLength: 1, maxLength: 6 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 20, arbitrary: fc.record({ kind: fc.constant("entry" as const), words }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("members" as const),
      names: fc.subarray(NAMES, { minLength: 1 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("garbage" as const),
      bytes: fc.uint8Array({ maxLength: 200 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("damaged" as const),
      words,
      at: fc.nat(),
      byte: fc.integer({ min: 1, max: 255 }),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ kind: "restart" as const }) },
);

/** One member's ballot box, which may begin anew from its own snapshot at any time, and one that never does. */
class Replicas {
  readonly steady: BoxUnderTest;
  #other: BoxUnderTest;
  readonly lists: MemberList[] = [];
  readonly decisions = new Map<string, Decision>();

  constructor(protocol: OrderingProtocol) {
    this.steady = new BoxUnderTest(protocol, "abcd");
    this.#other = new BoxUnderTest(protocol, "abcd", this.steady.keys);
    this.lists.push(this.steady.box.present);
  }

  take(next: Step): void {
    switch (next.kind) {
      case "members":
        for (const each of [this.steady, this.#other]) each.members(next.names.join(""));
        if (this.steady.box.present !== this.lists.at(-1)) this.lists.push(this.steady.box.present);
        break;
      case "entry":
        this.#apply(this.#entry(next.words));
        break;
      case "garbage":
        this.#apply(next.bytes);
        break;
      case "damaged": {
        const bytes = this.#entry(next.words).slice();
        const at = next.at % Math.max(1, bytes.length);
        bytes[at] = (bytes[at] ?? 0) ^ next.byte;
        this.#apply(bytes);
        break;
      }
      case "restart": {
        const fresh = new BoxUnderTest(this.protocol, "", this.steady.keys);
        fresh.box.restore(this.#other.box.snapshot());
        this.#other = fresh;
        break;
      }
      default:
        next satisfies never;
    }
    this.#check();
  }

  get protocol(): OrderingProtocol {
    return this.steady.protocol;
  }

  get accepted(): readonly Decision[] {
    return [...this.decisions.values()].filter(({ outcome }) => outcome === "accepted");
  }

  #apply(bytes: Uint8Array): void {
    const answers = this.steady.box.apply(bytes);
    if (!Buffer.from(answers).equals(this.#other.box.apply(bytes)))
      throw new Error("two members answer differently");
  }

  #entry(words: readonly Said[]): Uint8Array {
    return this.steady.entry(...words.flatMap((each) => this.#item(each) ?? []));
  }

  #item({ by, what, proposal, value: at }: Said): Item | undefined {
    const { steady } = this;
    const id = idOf(proposal);
    const value = VALUES[at] ?? "";
    switch (what) {
      case "propose":
        return steady.proposal(by, id, { value, after: steady.box.archive.decided });
      case "accept":
      case "reject":
        return steady.ballotVote(by, id, what, value, what === "reject" ? "no" : "");
      case "expire":
      case "cancel":
        return steady.word(by, id, { kind: what });
      case "vouch":
        return steady.box.archive.get(id) === undefined ? undefined : steady.voucher(by, id);
      case "vouch for members": {
        const [link] = steady.box.archive
          .linksFrom(1)
          .filter(({ certificate }) => certificate === undefined);
        return link && steady.voucher(by, link.proposalId);
      }
      default:
        return what satisfies never;
    }
  }

  #check(): void {
    const { steady } = this;
    if (!Buffer.from(steady.box.snapshot()).equals(this.#other.box.snapshot()))
      throw new Error("two members hold different states");
    for (const decision of [...steady.closed.splice(0), ...steady.certified.splice(0)])
      this.#hold(decision);
    for (const proof of steady.box.evidence)
      if (!isProof(steady.signer("x"), GROUP, proof))
        throw new Error("evidence that proves nothing");
  }

  #hold(decision: Decision): void {
    const before = this.decisions.get(decision.proposalId);
    if (before !== undefined && before.outcome !== decision.outcome)
      throw new Error("a proposal has two outcomes");
    if (before === undefined && decision.number !== this.decisions.size + 1)
      throw new Error("a number was left out, or given twice");
    this.decisions.set(decision.proposalId, decision);
    const { certificate, value, epoch } = decision;
    if (certificate === undefined) return;
    const list = this.lists.find((each) => each.epoch === epoch) ?? { epoch, members: [] };
    const fault = faultOfDecision(
      { value, certificate },
      { group: GROUP, protocol: this.protocol, list },
      this.steady.signer("x"),
      nodeHasher,
    );
    if (fault !== undefined || decision.outcome !== "accepted")
      throw new Error(`a certificate that proves nothing: ${fault}`);
  }
}

for (const protocol of ["raft", "pbft"] as const)
  t.test(`${protocol}: whatever is put into the order, all members hold the same`, async (t) => {
    let accepted = 0;
    let certified = 0;
    let links = 0;
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 80 }), (steps) => {
        const replicas = new Replicas(protocol);
        for (const each of steps) replicas.take(each);
        accepted += replicas.accepted.length;
        certified += replicas.accepted.filter(
          ({ certificate }) => certificate !== undefined,
        ).length;
        // As far as the changes of members are certified, they lead from the founders to a list that was in force.
        const { box } = replicas.steady;
        const changes = box.archive
          .linksFrom(1)
          .flatMap(({ value, certificate }) => (certificate ? [{ value, certificate }] : []));
        const [founders] = replicas.lists;
        if (founders === undefined) throw new Error("there are no founders");
        const { list } = followMembers(
          { group: GROUP, protocol, list: founders },
          changes,
          replicas.steady.signer("x"),
          nodeHasher,
        );
        links += list.epoch - 1;
        const known = replicas.lists.find(({ epoch }) => epoch === list.epoch);
        if (known?.members.join() !== list.members.join()) throw new Error("a chain that was none");
      }),
    );
    t.comment(`${accepted} accepted, ${certified} of them certified, ${links} changes followed`);
    t.ok(accepted > 0 && certified > 0 && links > 0, "something has happened");
  });

t.test("bytes that nobody signed change nothing, and are answered", async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      const under = new BoxUnderTest("raft", "abc");
      const before = Buffer.from(under.box.snapshot());
      return under.box.apply(bytes).length > 0 && before.equals(under.box.snapshot());
    }),
  );
});
