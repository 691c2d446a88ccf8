import * as fc from "fast-check";
import t from "tap";
import {
  decodeNews,
  decodeNote,
  encodeNews,
  encodeNote,
  NEWS_BYTES_MAX,
} from "../../../src/mesh/fleet/news.ts";

const bytesOf = (document: unknown) => new TextEncoder().encode(JSON.stringify(document));

t.test("news arrive as they were told, plain values only", async (t) => {
  const data = { name: "fleet", up: true, count: 3, odd: Number.NaN, deep: { a: 1 }, none: null };
  const told = { agentId: "north", type: "uplink.up", atMs: 1_764_000_000_000, leftOut: 2 };
  t.strictSame(decodeNews(encodeNews({ ...told, data })), {
    ...told,
    data: { name: "fleet", up: true, count: 3 },
  });
  const note = { agentId: "browser-x", text: "hello", atMs: 5 };
  t.strictSame(decodeNote(encodeNote(note)), note);
});

t.test("whatever an event holds, its news fit and can be read", async () => {
  const value = fc.oneof(fc.string({ maxLength: 400 }), fc.double(), fc.boolean(), fc.anything());
  fc.assert(
    fc.property(fc.dictionary(fc.string(), value, { maxKeys: 40 }), (data) => {
      const bytes = encodeNews({ agentId: "a".repeat(128), type: "queue.shed", atMs: 1, data });
      return bytes.length <= NEWS_BYTES_MAX && decodeNews(bytes)?.type === "queue.shed";
    }),
  );
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 700 }), (text) => {
      const bytes = encodeNote({ agentId: "a", text, atMs: 1 });
      return bytes.length <= NEWS_BYTES_MAX || decodeNote(bytes) === undefined;
    }),
  );
});

t.test("what is no news is refused and never thrown at", async (t) => {
  const good = { agentId: "a", type: "uplink.up", atMs: 1, data: {} };
  t.ok(decodeNews(bytesOf(good)));
  for (const changes of [
    { agentId: "" },
    { agentId: "x".repeat(129) },
    { agentId: 5 },
    { type: "<script>" },
    { type: "x".repeat(80) },
    { atMs: "now" },
    { atMs: 1e300 },
    { data: null },
    { data: "x" },
  ])
    t.equal(decodeNews(bytesOf({ ...good, ...changes })), undefined, JSON.stringify(changes));
  t.equal(decodeNews(bytesOf([good])), undefined);
  t.equal(decodeNews(bytesOf({ ...good, pad: "x".repeat(NEWS_BYTES_MAX) })), undefined);
  t.equal(decodeNote(bytesOf({ agentId: "a", text: "", atMs: 1 })), undefined);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      decodeNews(bytes);
      decodeNote(bytes);
      return true;
    }),
  );
  fc.assert(
    fc.property(fc.jsonValue(), (document) => {
      decodeNews(bytesOf(document));
      decodeNote(bytesOf(document));
      return true;
    }),
  );
});
