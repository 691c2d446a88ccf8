import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import t from "tap";
import { decodeProbe, encodeProbe, type ProbeBody } from "../../src/mesh/membership/probe-codec.ts";
import {
  MembershipMessageSchema,
  ProbeOutcome,
} from "../../src/wire/agent_mesh/v1/membership_pb.ts";

const uint32 = fc.oneof(
  fc.constantFrom(0, 1, 0x7f, 0x80, 0x3fff, 0x4000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff),
  fc.nat({ max: 0xffff_ffff }),
);
const outcome = fc.constantFrom(
  ProbeOutcome.UNSPECIFIED,
  ProbeOutcome.REACHED,
  ProbeOutcome.NOT_REACHED,
  ProbeOutcome.NOT_LINKED,
);
const probe: fc.Arbitrary<ProbeBody> = fc
  .record({ nonce: uint32 })
  .map((value) => ({ case: "probe", value }));
const answer: fc.Arbitrary<ProbeBody> = fc
  .record({ nonce: uint32, outcome, links: uint32 })
  .map((value) => ({ case: "probeAnswer", value }));
const RUNS = { numRuns: 2_000 };

/** What the general coder makes of it. */
function general(body: ProbeBody): Uint8Array {
  return toBinary(MembershipMessageSchema, create(MembershipMessageSchema, { body }));
}

t.test("probes are coded as the general coder does, and read back", async (t) => {
  fc.assert(
    fc.property(fc.oneof(probe, answer), (body) => {
      const bytes = encodeProbe(body);
      t.same(bytes, general(body));
      t.same(decodeProbe(bytes), body);
    }),
    RUNS,
  );
});

t.test("whatever else comes is read as the general decoder does, or left to it", async (t) => {
  let read = 0;
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 24 }),
        fc
          .tuple(
            fc.oneof(probe, answer),
            fc.array(fc.tuple(fc.nat({ max: 24 }), fc.nat({ max: 255 })), { maxLength: 3 }),
            fc.uint8Array({ maxLength: 2 }),
          )
          .map(([body, changes, more]) => {
            const bytes = Uint8Array.from([...general(body), ...more]);
            for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte;
            if (more.length > 0 && bytes[1] !== undefined) bytes[1] += more.length;
            return bytes;
          }),
      ),
      (bytes) => {
        const body = decodeProbe(bytes);
        if (body === undefined) return;
        read++;
        const message = fromBinary(MembershipMessageSchema, bytes, { readUnknownFields: false });
        t.equal(message.records.length + message.accusations.length, 0);
        t.match(message.body, body);
      },
    ),
    { numRuns: 20_000 },
  );
  t.ok(read > 1_000, `${read} were read`);
});
