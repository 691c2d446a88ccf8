import t from "tap";
import { LABELS_MAX, LabelBook } from "../../../../src/federated/streams/label-book.ts";

const label = { fromMs: 1_000, toMs: 2_000, class: 1, who: "maria" };

t.test("what is said later counts, and can be taken back", async (t) => {
  const book = new LabelBook();
  book.add(label);
  const { id } = book.add({ ...label, fromMs: 1_500, class: 0, note: "only a test" });
  t.equal(book.classAt(1_200), 1);
  t.equal(book.classAt(2_000), 0);
  t.equal(book.classAt(2_001), undefined);
  t.ok(book.remove(id));
  t.notOk(book.remove(id));
  t.equal(book.classAt(2_000), 1);
});

t.test("it comes back as it was written, and gives no id twice", async (t) => {
  const book = new LabelBook();
  book.add(label);
  const { id } = book.add(label);
  book.remove(id);
  const again = LabelBook.decode(book.encode());
  t.same(again.labels, book.labels);
  t.equal(again.add(label).id, id + 1);
});

t.test("it is bounded: the oldest entries go", async (t) => {
  const book = new LabelBook();
  for (let at = 0; at < LABELS_MAX + 5; at++) book.add({ ...label, class: at % 3 });
  t.equal(book.labels.length, LABELS_MAX);
  t.equal(book.labels[0]?.id, 6);
  t.equal(LabelBook.decode(book.encode()).labels.length, LABELS_MAX);
});

t.test("wrong labels are refused by the name of what is wrong", async (t) => {
  const book = new LabelBook();
  for (const [wrong, message] of [
    [{ fromMs: Number.NaN }, /^fromMs/],
    [{ toMs: 999 }, /^toMs: fromMs or later/],
    [{ class: 1.5 }, /^class/],
    [{ who: "" }, /^who/],
    [{ note: "n".repeat(257) }, /^note/],
  ] as const)
    t.throws(() => book.add({ ...label, ...wrong }), { code: "data.setting", message });
  t.same(book.labels, []);
});

t.test("what is no book is refused", async (t) => {
  for (const text of [
    "",
    "[]",
    "null",
    '{"format":2,"labels":[]}',
    '{"format":1,"labels":[null]}',
    '{"format":1,"labels":[{"id":1,"fromMs":5,"toMs":1,"class":0,"who":"x"}]}',
    '{"format":1,"labels":[{"id":0,"fromMs":1,"toMs":1,"class":0,"who":"x"}]}',
  ])
    t.throws(() => LabelBook.decode(Buffer.from(text)), { code: "data.format" }, text);
});
