import * as fc from "fast-check";
import t from "tap";
import { split } from "../../../../src/consensus/tendermint/parts.ts";
import {
  decodeMessage,
  encodeMessage,
} from "../../../../src/consensus/tendermint-member/message-codec.ts";
import type { GroupMessage } from "../../../../src/consensus/tendermint-member/messages.ts";
import {
  decodeRecord,
  encodeRecord,
  type StoredRecord,
} from "../../../../src/consensus/tendermint-member/record-codec.ts";
import { plainHasher } from "../../../../src/simulator/plain-hasher.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed, numRuns: Number(process.env["FC_RUNS"] ?? 300) });

const bytes = fc.uint8Array({ maxLength: 200 });
const digest = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((data) => Buffer.from(data).toString("hex"));
const height = fc.oneof(fc.nat(1_000), fc.maxSafeNat());
const round = fc.nat(1_000_000);
const name = fc.string({ minLength: 1, maxLength: 60 });
const signature = fc.uint8Array({ minLength: 64, maxLength: 64 });
const kind = fc.constantFrom("prevote" as const, "precommit" as const);
const vote = fc.record({
  kind,
  height,
  round,
  valueId: fc.option(digest),
  validator: name,
  signature,
});
const certificate = fc.record({
  kind,
  height,
  round,
  valueId: digest,
  signatures: fc.array(fc.record({ validator: name, signature }), { maxLength: 7 }),
});
const proposal = fc.record({
  height,
  round,
  valueId: digest,
  validRound: fc.integer({ min: -1, max: 1_000 }),
  proposer: name,
  signature,
});
const manifest = fc.record({
  root: digest,
  bytes: fc.nat(2 ** 31),
  partBytes: fc.integer({ min: 1, max: 2 ** 22 }),
});
const part = fc.record({
  index: fc.nat(63),
  bytes,
  proof: fc.array(digest, { maxLength: 6 }),
});
const core = fc.oneof(
  fc.record(
    {
      kind: fc.constant("proposal" as const),
      proposal,
      manifest,
      value: bytes,
      polka: certificate,
    },
    { requiredKeys: ["kind", "proposal", "manifest"] },
  ),
  fc.record({ kind: fc.constant("part" as const), height, valueId: digest, part }),
  fc.record({ kind: fc.constant("polka" as const), certificate }),
  fc.record({
    kind: fc.constant("votes" as const),
    votes: fc.array(vote, { minLength: 1, maxLength: 9 }),
  }),
  fc.record(
    { kind: fc.constant("decision" as const), certificate, manifest, value: bytes },
    { requiredKeys: ["kind", "certificate", "manifest"] },
  ),
  fc.record(
    {
      kind: fc.constant("ask" as const),
      height,
      parts: fc.record({ valueId: digest, indexes: fc.array(fc.nat(63), { minLength: 1 }) }),
    },
    { requiredKeys: ["kind", "height"] },
  ),
);
const operation = fc.record({
  kind: fc.constantFrom("value" as const, "add" as const, "remove" as const, "nothing" as const),
  id: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  data: bytes,
});
const offer = fc.record({ height, manifest, block: bytes, certificate });
const message: fc.Arbitrary<GroupMessage> = fc.oneof(
  core.map((inner) => ({ kind: "core" as const, message: inner })),
  fc.record({ kind: fc.constant("pool" as const), operations: fc.array(operation) }),
  fc.record({
    kind: fc.constant("join" as const),
    ticket: fc.record({ body: bytes, issuer: name, signature }),
    height,
  }),
  fc.record({ kind: fc.constant("offer" as const), offer }),
  fc.record({
    kind: fc.constant("state-ask" as const),
    digest,
    indexes: fc.array(fc.nat(63), { maxLength: 8 }),
  }),
  fc.record({ kind: fc.constant("state-part" as const), digest, part }),
);
const record: fc.Arbitrary<StoredRecord> = fc.oneof(
  fc.record({
    kind: fc.constant("height" as const),
    height,
    validators: fc.array(
      fc.record({ id: name, power: fc.maxSafeNat(), priority: fc.maxSafeInteger() }),
    ),
    proposer: name,
  }),
  fc.record({ kind: fc.constant("value" as const), height, valueId: digest, value: bytes }),
  fc
    .array(vote, { minLength: 1, maxLength: 5 })
    .map((votes) => ({ kind: "entrance" as const, height: votes[0]?.height ?? 0, votes })),
  fc.record({ kind: fc.constant("polka" as const), certificate }),
  fc.record({ kind: fc.constant("proposal" as const), proposal }),
  fc.record({ kind: fc.constant("vote" as const), vote }),
  fc.record({ kind: fc.constant("decision" as const), certificate, value: bytes }),
  fc.record({ kind: fc.constant("snapshot" as const), offer, state: bytes }),
  fc.record({
    kind: fc.constant("evidence" as const),
    evidence: fc.oneof(
      fc.record({ kind: fc.constant("votes" as const), first: vote, second: vote }),
      fc.record({ kind: fc.constant("proposals" as const), first: proposal, second: proposal }),
    ),
  }),
);

t.test("what is said is heard", async (t) => {
  fc.assert(
    fc.property(message, (said) => {
      t.same(plain(decodeMessage(encodeMessage(said))), plain(said));
    }),
  );
});

t.test("what is written is read", async (t) => {
  fc.assert(
    fc.property(record, (written) => {
      t.same(plain(decodeRecord(encodeRecord(written))), plain(written));
    }),
  );
});

t.test("bytes that are no message are none, and throw nothing", async (t) => {
  let none = 0;
  const tried = (data: Uint8Array): void => {
    if (decodeMessage(data) === undefined) none++;
    decodeRecord(data);
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), tried));
  // One wrong byte, or an end too early, in what once was a message.
  fc.assert(
    fc.property(message, fc.nat(), fc.nat(255), (said, at, byte) => {
      const data = encodeMessage(said);
      tried(data.subarray(0, at % (data.length + 1)));
      data[at % data.length] = byte;
      tried(data);
    }),
  );
  t.ok(none > 0, "some were none");
});

t.test("digests of the wrong length are refused", async (t) => {
  const { manifest: good } = split(Buffer.from("x"), 64, plainHasher);
  const bad = { ...good, root: good.root.slice(2) };
  const said = encodeMessage({
    kind: "offer",
    offer: {
      height: 1,
      manifest: bad,
      block: new Uint8Array(),
      certificate: { kind: "precommit", height: 2, round: 0, valueId: good.root, signatures: [] },
    },
  });
  t.equal(decodeMessage(said), undefined);
});

/** Buffers and arrays of bytes are the same to us. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, one: unknown) =>
      one instanceof Uint8Array ? Buffer.from(one).toString("hex") : one,
    ) ?? "null",
  );
}
