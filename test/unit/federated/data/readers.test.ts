import t from "tap";
import { readCsv } from "../../../../src/federated/data/csv.ts";
import { dataFrame } from "../../../../src/federated/data/data-frame.ts";
import { readIdx } from "../../../../src/federated/data/idx.ts";
import { readRData } from "../../../../src/federated/data/r-serialization.ts";
import { RWriter, smallDataFrame } from "../../../support/learning/r-writer.ts";

t.test("IDX: shape and values", async (t) => {
  const file = Uint8Array.of(0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6);
  t.same(readIdx(file), { shape: [2, 3], values: Uint8Array.of(1, 2, 3, 4, 5, 6) });
  for (const [bytes, told] of [
    [Uint8Array.of(), /two zeros/],
    [Uint8Array.of(1, 0, 8, 1), /two zeros/],
    [Uint8Array.of(0, 0, 0x0d, 1, 0, 0, 0, 0), /type 0xd/],
    [Uint8Array.of(0, 0, 8, 9), /9 axes/],
    [Uint8Array.of(0, 0, 8, 3, 0, 0), /in its header/],
    [file.subarray(0, 17), /6 values are told of, 5 are there/],
    [Uint8Array.of(...file, 7), /6 values are told of, 7 are there/],
    [Uint8Array.of(0, 0, 8, 2, 255, 255, 255, 255, 255, 255, 255, 255), /400000000 at most/],
  ] as const)
    t.throws(() => readIdx(bytes), { name: "DataError", message: told });
});

t.test("R: data frames of both versions", async (t) => {
  for (const version of [2, 3] as const) {
    const objects = readRData(smallDataFrame(version));
    t.same([...objects.keys()], ["frame"]);
    t.same(dataFrame(objects.get("frame")), [
      { name: "size", values: Float64Array.of(1.5, 2.5, -3) },
      { name: "colour", values: Float64Array.of(1, 0, 1), levels: ["red", "blau é"] },
    ]);
  }
});

t.test("R: missing values, symbols that come again, short ranges", async (t) => {
  const range = new RWriter()
    .header(3)
    .named("range")
    .integer(238)
    .integer(2)
    .symbol("compact_intseq")
    .nil()
    .reals([4, 7, 2])
    .nil()
    .named("missing")
    .integers([-0x8000_0000, 5])
    // The name of an element as a reference to the second symbol, `compact_intseq`.
    .integer(0x402)
    .integer((2 << 8) | 0xff)
    .texts([null, "a"])
    .nil()
    .bytes();
  const objects = readRData(range);
  t.match(objects.get("range"), { values: Float64Array.of(7, 9, 11, 13) });
  t.match(objects.get("missing"), { values: Float64Array.of(Number.NaN, 5) });
  t.match(objects.get("compact_intseq"), { values: [null, "a"] });
});

t.test("R: what can not be read is named, with its place", async (t) => {
  const frame = smallDataFrame(2);
  const closure = new RWriter().header(2).named("f").integer(3).bytes();
  const huge = new RWriter().header(2).named("x").integer(14).integer(0x7fffffff).bytes();
  let deep = new RWriter().header(2).named("x");
  for (let depth = 0; depth < 100; depth++) deep = deep.integer(19).integer(1);
  for (const [bytes, told] of [
    [Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a), /is it compressed/],
    [frame.subarray(0, 60), /byte \d+: /],
    [closure, /item of type 3/],
    [huge, /2147483647 items do not fit/],
    [deep.bytes(), /more than 32 deep|do not fit/],
  ] as const)
    t.throws(() => readRData(bytes), { code: "data.format", message: told });
  t.throws(() => dataFrame(undefined), /no data frame/);
});

t.test("CSV: numbers and factors", async (t) => {
  const text = '\uFEFFa,"b ""c""",kind\r\n1,-2.5e3,x\r\n2,0,"y, or\nz"\r\n\r\n3,7,x\r\n';
  t.same(readCsv(text), [
    { name: "a", values: Float64Array.of(1, 2, 3) },
    { name: 'b "c"', values: Float64Array.of(-2500, 0, 7) },
    { name: "kind", values: Float64Array.of(0, 1, 0), levels: ["x", "y, or\nz"] },
  ]);
  const [a] = readCsv("a,b\n7,1\n3,2\n7,3", ["a"]);
  t.same(a, { name: "a", values: Float64Array.of(0, 1, 0), levels: ["7", "3"] });
});

t.test("CSV: what is wrong is named, with its line", async (t) => {
  for (const [text, told] of [
    ["", /a line of names/],
    ["a,b\n", /a line of names/],
    ["a,a\n1,2", /same name/],
    ['a,b\n"1\n",2\n3', /line 4: 1 values, 2 columns/],
    ['a\n"1', /line 2: a quote that never closes/],
    ['a\n"1"2', /line 2: text behind a closing quote/],
  ] as const)
    t.throws(() => readCsv(text), { name: "DataError", message: told }, text);
  t.throws(() => readCsv("a,b\n1,2", ["c"]), /no column c, only a, b/);
});
