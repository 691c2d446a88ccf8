import * as fc from "fast-check";
import t from "tap";
import { Seal } from "../../../src/access/seal.ts";
import { showBytes } from "../../../src/api/bytes.ts";
import { decodeCursor, encodeCursor } from "../../../src/api/cursor.ts";
import { ApiProblem } from "../../../src/api/problem.ts";
import { nodeHasher } from "../../../src/platform/node/hasher.ts";
import { SystemRandom } from "../../../src/platform/node/system-random.ts";

const seal = new Seal({ hasher: nodeHasher, random: new SystemRandom() });

t.test("cursors come back as they were given, to the same list only", async (t) => {
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.string(), fc.nat(), (list, filter, place, offset) => {
      t.equal(
        decodeCursor(seal, list, filter, encodeCursor(seal, list, filter, place), "string"),
        place,
      );
      t.equal(
        decodeCursor(seal, list, filter, encodeCursor(seal, list, filter, offset), "number"),
        offset,
      );
      const cursor = encodeCursor(seal, list, filter, place);
      t.throws(() => decodeCursor(seal, `${list}x`, filter, cursor, "string"), ApiProblem);
      t.throws(() => decodeCursor(seal, list, `${filter}x`, cursor, "string"), ApiProblem);
      t.throws(() => decodeCursor(seal, list, filter, cursor, "number"), ApiProblem);
    }),
    { numRuns: 50 },
  );
});

t.test("whatever a client makes up as a cursor is refused in an orderly way", async (t) => {
  const refused = (cursor: string) => {
    try {
      decodeCursor(seal, "queue", "", cursor, "number");
      return false;
    } catch (error) {
      return error instanceof ApiProblem && error.code === "request.cursor";
    }
  };
  const forged = fc.json().map((text) => Buffer.from(text).toString("base64url"));
  fc.assert(fc.property(fc.oneof(fc.string(), forged), refused));
  const [body, mac] = encodeCursor(seal, "queue", "", 5).split(".");
  t.ok(refused(`${Buffer.from('["queue","",6]').toString("base64url")}.${mac}`), "another place");
  t.ok(refused(`${body}.${"0".repeat(32)}`), "another proof");
  const elsewhere = new Seal({ hasher: nodeHasher, random: new SystemRandom() });
  t.ok(refused(encodeCursor(elsewhere, "queue", "", 5)), "another process's");
});

t.test("bytes are shown as text where they are text, and cut between characters", async (t) => {
  t.same(showBytes(Buffer.from("21.5 °C")), {
    encoding: "utf-8",
    data: "21.5 °C",
    bytes: 8,
    truncated: false,
  });
  t.same(showBytes(Uint8Array.of(0xff, 0x00)), {
    encoding: "base64",
    data: "/wA=",
    bytes: 2,
    truncated: false,
  });
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 4 }),
      fc.constantFrom("a", "é", "€", "😀"),
      (lead, one) => {
        const text = "x".repeat(lead) + one.repeat(5_000);
        const shown = showBytes(Buffer.from(text));
        return (
          shown.encoding === "utf-8" &&
          shown.truncated &&
          text.startsWith(shown.data) &&
          Buffer.byteLength(shown.data) > 4_092
        );
      },
    ),
  );
});
