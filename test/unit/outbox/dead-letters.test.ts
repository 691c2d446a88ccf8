import t from "tap";
import { decodeDeadLetter, encodeDeadLetter } from "../../../src/outbox/dead-letters.ts";

const letter = {
  code: "payload.not-json",
  reason: "does not parse",
  topic: "sensors/a",
  payload: Buffer.from("{\nnot json"),
  contentType: "application/json",
  priority: 5,
};

t.test("a dead letter comes back as it was, newlines in its payload and all", async (t) => {
  const decoded = decodeDeadLetter(["d/000000000a", encodeDeadLetter(letter, 17)]);
  t.match(decoded, { ...letter, id: "000000000a", deadAtMs: 17 });
  t.same(Buffer.from(decoded.payload), letter.payload);
});

t.test("a damaged one is shown as what it is and hides no other", async (t) => {
  for (const bytes of ["no line end", '{"half": \nrest', ""]) {
    const decoded = decodeDeadLetter(["d/000000000b", Buffer.from(bytes)]);
    t.match(decoded, { id: "000000000b", code: "record.damaged" });
    t.equal(Buffer.from(decoded.payload).toString(), bytes, "its bytes are kept");
  }
});
