import { create, toBinary } from "@bufbuild/protobuf";
import t from "tap";
import { compareRecords, type KnownRecord } from "../../../src/mesh/records/known-record.ts";
import {
  EPOCH_MAX,
  RECORD_BYTES_MAX,
  readRecord,
  type SelfDescription,
  signRecord,
} from "../../../src/mesh/records/record-codec.ts";
import { CachingVerifier } from "../../../src/mesh/records/record-verifier.ts";
import { VirtualKeys } from "../../../src/simulator/virtual-signer.ts";
import {
  AgentRecordSchema,
  Occasion,
  PowerSupply,
  SignedRecordSchema,
} from "../../../src/wire/agent_mesh/v1/record_pb.ts";

const keys = new VirtualKeys();
const signer = keys.signer("a");
const reader = keys.signer("reader");
const self: SelfDescription = {
  agentId: "pi-kitchen",
  version: "1.2.3",
  addresses: ["/ip4/10.0.0.7/tcp/4001"],
  capabilities: {
    architecture: "arm64",
    cpuCores: 4,
    memoryBytes: 4_000_000_000n,
    powerSupply: PowerSupply.MAINS,
    uplinks: ["mqtt"],
    features: ["relay"],
  },
  health: { status: "ok", powerMode: "normal", batteryPercent: 81.5, uplinkUp: true },
};

function read(bytes: Uint8Array): KnownRecord {
  const record = readRecord(reader, bytes);
  if (typeof record === "string") throw new Error(record);
  return record;
}

/** Signed as it is, whatever is in it. */
function signedAnyhow(record: Parameters<typeof create<typeof AgentRecordSchema>>[1]): Uint8Array {
  const bytes = toBinary(
    AgentRecordSchema,
    create(AgentRecordSchema, {
      publicKey: signer.publicKey,
      agentId: "x",
      ...(record as object),
    }),
  );
  return toBinary(
    SignedRecordSchema,
    create(SignedRecordSchema, {
      record: bytes,
      signature: signer.sign("agent-mesh/record/1", bytes),
    }),
  );
}

t.test("what an agent tells of itself is read by others as it was meant", async (t) => {
  const bytes = signRecord(signer, self, { epoch: 3, sequence: 9 }, false);
  const record = read(bytes);
  t.equal(record.peerId, signer.peerId);
  t.match(record.peerId, /^12D3KooW/);
  t.equal(record.agentId, "pi-kitchen");
  t.same([record.epoch, record.sequence, record.leaving], [3, 9, false]);
  t.same(record.addresses, self.addresses);
  t.equal(record.capabilities?.memoryBytes, 4_000_000_000n);
  t.same(record.capabilities?.features, ["relay"]);
  t.equal(record.health?.batteryPercent, 81.5);
  t.equal(record.health?.cpuPercent, undefined);
  t.same(record.bytes, bytes, "the signed bytes are kept");
  const kept = record.bytes.slice();
  bytes.fill(0);
  t.same(record.bytes, kept, "as a copy");
  t.ok(Object.isFrozen(record) && Object.isFrozen(record.addresses), "and nobody can change it");
});

t.test("why a record was made goes along, one that this version does not know too", async (t) => {
  const of = (occasion: Occasion): Occasion =>
    read(signRecord(signer, self, { epoch: 1, sequence: 1 }, false, occasion)).occasion;
  t.equal(of(Occasion.REFRESH), Occasion.REFRESH);
  t.equal(of(Occasion.REFUTATION), Occasion.REFUTATION);
  t.equal(of(77 as Occasion), 77);
});

t.test("a record that was tampered with is forged, wherever it was", async (t) => {
  const bytes = signRecord(signer, self, { epoch: 1, sequence: 1 }, false);
  for (let at = 0; at < bytes.length; at++) {
    const tampered = bytes.slice();
    tampered[at] = (tampered[at] ?? 0) ^ 0x01;
    const verdict = readRecord(reader, tampered);
    if (typeof verdict !== "string") t.fail(`byte ${at} can be changed`);
  }
  t.equal(readRecord(reader, bytes.slice(0, -1)), "malformed-record");
  const other = keys.signer("b");
  const stolen = create(AgentRecordSchema, { publicKey: other.publicKey, agentId: "b" });
  const inner = toBinary(AgentRecordSchema, stolen);
  const forged = create(SignedRecordSchema, {
    record: inner,
    signature: signer.sign("agent-mesh/record/1", inner),
  });
  t.equal(readRecord(reader, toBinary(SignedRecordSchema, forged)), "forged-record");
  const otherUse = create(SignedRecordSchema, {
    record: inner,
    signature: other.sign("agent-mesh/token/1", inner),
  });
  t.equal(
    readRecord(reader, toBinary(SignedRecordSchema, otherUse)),
    "forged-record",
    "a signature for another purpose",
  );
});

t.test("properly signed nonsense is refused", async (t) => {
  t.type(readRecord(reader, signedAnyhow({})), "object", "the base is sound");
  const nonsense: Record<string, Parameters<typeof signedAnyhow>[0]> = {
    "no agent id": { agentId: "" },
    "a long agent id": { agentId: "x".repeat(129) },
    "a line break": { agentId: "a\nb" },
    "a short key": { publicKey: new Uint8Array(31) },
    "the last epoch": { epoch: EPOCH_MAX + 1 },
    "seventeen addresses": { addresses: Array.from({ length: 17 }, () => "/a") },
    "an empty address": { addresses: [""] },
    "a long address": { addresses: ["x".repeat(257)] },
    "thirty-three features": {
      capabilities: { features: Array.from({ length: 33 }, () => "f") },
    },
    "too much memory": { capabilities: { memoryBytes: 2n ** 60n } },
    "battery NaN": { health: { batteryPercent: Number.NaN } },
    "battery 101 %": { health: { batteryPercent: 101 } },
    "infinite heat": { health: { temperatureCelsius: Number.POSITIVE_INFINITY } },
    "an endless queue": { health: { queueBytes: 2n ** 60n } },
  };
  for (const [what, record] of Object.entries(nonsense))
    t.equal(readRecord(reader, signedAnyhow(record)), "malformed-record", what);
  const large = { addresses: Array.from({ length: 16 }, () => "x".repeat(256)) };
  t.ok(signedAnyhow(large).length > RECORD_BYTES_MAX);
  t.equal(readRecord(reader, signedAnyhow(large)), "malformed-record", "too large a whole");
});

t.test("an agent does not sign what others would refuse", async (t) => {
  const version = { epoch: 1, sequence: 0 };
  t.throws(
    () => signRecord(signer, { ...self, agentId: "" }, version, false),
    new RangeError("the agent's record has no proper agent id"),
  );
  const addresses = Array.from({ length: 16 }, () => "x".repeat(256));
  t.throws(() => signRecord(signer, { ...self, addresses }, version, false), RangeError);
});

t.test("the larger (epoch, sequence) counts, and of twins the same everywhere", async (t) => {
  const at = (epoch: number, sequence: number, agentId = "a"): KnownRecord =>
    read(signRecord(signer, { ...self, agentId }, { epoch, sequence }, false));
  t.ok(compareRecords(at(2, 0), at(1, 99)) > 0);
  t.ok(compareRecords(at(1, 2), at(1, 3)) < 0);
  t.equal(compareRecords(at(1, 2), at(1, 2)), 0);
  const [one, two] = [at(1, 2, "one"), at(1, 2, "two")];
  t.not(compareRecords(one, two), 0);
  t.equal(Math.sign(compareRecords(one, two)), -Math.sign(compareRecords(two, one)));
});

t.test("a verifier verifies the same bytes once, and remembers only so many", async (t) => {
  let verified = 0;
  const counting = {
    ...reader,
    verify: (...args: Parameters<typeof reader.verify>) => {
      verified++;
      return reader.verify(...args);
    },
  };
  const verifier = new CachingVerifier(counting, 2);
  const bytes = [0, 1, 2].map((sequence) =>
    signRecord(signer, self, { epoch: 1, sequence }, false),
  );
  const [first, second, third] = bytes;
  const record = verifier.verify(first!);
  t.equal(verifier.verify(first!.slice()), record, "the same object");
  t.equal(verified, 1);
  const sameTail = first!.slice();
  sameTail[5] = (sameTail[5] ?? 0) ^ 1;
  t.equal(verifier.known(sameTail), undefined, "all bytes are compared");
  t.type(verifier.verify(sameTail), "string");
  verifier.verify(second!);
  verifier.verify(third!);
  t.equal(verifier.known(first!), undefined, "the oldest is out");
  t.type(verifier.known(third!), "object");
});

t.test("virtual keys name themselves as libp2p does", async (t) => {
  t.same(signer.publicKeyOf(signer.peerId), signer.publicKey);
  t.equal(signer.peerIdOf(signer.publicKey), signer.peerId);
  t.equal(signer.peerId.length, 52);
  t.equal(signer.publicKeyOf("12D3KooW"), undefined);
  t.equal(signer.publicKeyOf("not base58: 0OIl"), undefined);
  t.throws(() => signer.peerIdOf(new Uint8Array(31)), RangeError);
  t.equal(keys.signer("a").peerId, signer.peerId, "the same seed, the same key");
  t.not(keys.signer("c").peerId, signer.peerId);
  // The example of the specification "Peer Ids and Keys" does not cover Ed25519 names; this is base58 of the prefix
  // and 32 zero bytes, by hand.
  t.match(signer.peerIdOf(new Uint8Array(32)), /^12D3KooW/);
});
