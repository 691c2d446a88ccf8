import t from "tap";
import {
  contradictionOf,
  decodeEvidence,
  EvidencePool,
  encodeEvidence,
} from "../../../../src/federated/rounds/evidence.ts";
import {
  SAMPLES_MAX,
  SHEET_BYTES_MAX,
  UPDATES_MAX,
} from "../../../../src/federated/rounds/limits.ts";
import { readRecord, signRecord } from "../../../../src/federated/rounds/round-record.ts";
import { encodeSheet, inSheetOrder, readSheet } from "../../../../src/federated/rounds/sheet.ts";
import { decodeTalk, encodeTalk, type RoundsTalk } from "../../../../src/federated/rounds/talk.ts";
import { readWord, signWord, weightOf } from "../../../../src/federated/rounds/trainer-word.ts";
import { HEAD, hashOf, signerOf, TASK, wordBy } from "../../../support/rounds/words.ts";

const signer = signerOf("reader");

t.test("a word", async (t) => {
  const word = wordBy("a");
  t.same(readWord(signer, word.signed), word, "is read as it was signed");
  const { publicKey, signature } = word.signed;
  t.equal(
    readWord(signer, { ...word.signed, publicKey: signerOf("b").publicKey }),
    "forged",
    "is its trainer's",
  );
  const longer = Uint8Array.from([...word.signed.word, 0xa0, 0x06, 0x01]);
  t.equal(readWord(signer, { publicKey, signature, word: longer }), "malformed", "has one form");
  for (const wrong of [
    { samples: 0 },
    { samples: SAMPLES_MAX + 1 },
    { loss: Number.NaN },
    { loss: -1 },
    { updateBytes: 0 },
    { edition: 9 },
    { baseRound: -1 },
  ])
    t.throws(() => wordBy("a", wrong), RangeError, JSON.stringify(wrong));
  t.throws(() => signWord(signer, { ...word, samples: 1.5 }), /1 to 8388607 samples, not 1.5/);
});

t.test("weights: samples, divided by the root of one more than the rounds behind", async (t) => {
  t.equal(weightOf({ samples: 12, baseRound: 4 }, 5), 12);
  t.equal(weightOf({ samples: 12, baseRound: 1 }, 5), 6);
});

t.test("a sheet", async (t) => {
  const words = ["a", "b", "c"].map((name) => wordBy(name));
  const place = { task: TASK, round: 1, baseHash: HEAD.modelHash, previousSheetHash: undefined };
  const sheet = { ...place, words: inSheetOrder(words) };
  const bytes = encodeSheet(sheet);
  t.same(readSheet(signer, bytes), sheet);
  t.same(encodeSheet({ ...place, words: inSheetOrder(words.toReversed()) }), bytes, "one order");
  t.equal(
    readSheet(signer, encodeSheet({ ...sheet, words: sheet.words.toReversed() })),
    undefined,
    "no other order",
  );
  const [first] = sheet.words;
  t.equal(readSheet(signer, encodeSheet({ ...sheet, words: [first!, first!] })), undefined);
  t.equal(readSheet(signer, encodeSheet({ ...sheet, words: [] })), undefined, "not of nobody");
  t.equal(readSheet(signer, encodeSheet({ ...sheet, round: 2 })), undefined, "behind another");
  const signed = { ...first!.signed, signature: new Uint8Array(64) };
  t.equal(readSheet(signer, encodeSheet({ ...sheet, words: [{ ...first!, signed }] })), undefined);
  t.equal(readSheet(signer, bytes.subarray(1)), undefined);
  const most = Array.from({ length: UPDATES_MAX }, (_, at) => wordBy(`trainer ${at}`));
  const large = encodeSheet({ ...place, words: inSheetOrder(most) });
  t.equal(readSheet(signer, large)?.words.length, UPDATES_MAX);
  t.ok(large.length < SHEET_BYTES_MAX / 3, `1,024 words take ${large.length} bytes`);
  const more = inSheetOrder([...most, wordBy("one more")]);
  t.equal(readSheet(signer, encodeSheet({ ...place, words: more })), undefined, "not more");
});

t.test("a record", async (t) => {
  const content = {
    task: TASK,
    round: 1_000_000,
    baseHash: hashOf("base"),
    previousSheetHash: hashOf("the sheet before"),
    sheetHash: hashOf("sheet"),
    modelHash: hashOf("model"),
    stateHash: hashOf("state"),
    updates: UPDATES_MAX,
    samples: UPDATES_MAX * SAMPLES_MAX,
    samplesTotal: UPDATES_MAX * SAMPLES_MAX * 1_000_000,
  };
  const value = signRecord(signerOf("a"), content);
  t.same(readRecord(signer, value), { ...content, aggregator: signerOf("a").peerId });
  t.ok(value.length <= 512, `${value.length} bytes at most`);
  const forged = value.slice();
  forged[forged.length - 1] = (forged[forged.length - 1] ?? 0) ^ 1;
  t.equal(readRecord(signer, forged), "forged");
  for (const wrong of [
    { round: 0 },
    { updates: 0 },
    { samples: 0 },
    { samplesTotal: 1 },
    { round: 1 },
    { updates: UPDATES_MAX + 1 },
  ])
    t.equal(
      readRecord(signer, signRecord(signer, { ...content, ...wrong })),
      "malformed",
      JSON.stringify(wrong),
    );
});

t.test("talk", async (t) => {
  const evidence = contradictionOf(wordBy("a"), wordBy("a", { samples: 11 }))!;
  const talks: readonly RoundsTalk[] = [
    { kind: "begun", task: TASK, baseRound: 3, baseHash: hashOf("base") },
    { kind: "word", word: wordBy("a") },
    { kind: "head", task: TASK, round: 7, decision: Uint8Array.from([1, 2]) },
    { kind: "wanted", tasks: [TASK] },
    { kind: "submit", record: Uint8Array.from([3]) },
    { kind: "evidence", evidence },
  ];
  for (const talk of talks) t.same(decodeTalk(signer, encodeTalk(talk)), talk, talk.kind);
  t.equal(decodeTalk(signer, new Uint8Array()), undefined);
  t.equal(decodeTalk(signer, new Uint8Array(20_000)), undefined, "too long");
  const many = Array.from({ length: 65 }, () => TASK);
  t.equal(decodeTalk(signer, encodeTalk({ kind: "wanted", tasks: many })), undefined, "too many");
  const decision = new Uint8Array(16_385);
  t.equal(
    decodeTalk(signer, encodeTalk({ kind: "head", task: TASK, round: 1, decision })),
    undefined,
  );
});

t.test("evidence", async (t) => {
  const one = wordBy("a");
  const other = wordBy("a", { updateHash: hashOf("another") });
  const evidence = contradictionOf(other, one)!;
  t.equal(evidence.accused, signerOf("a").peerId);
  t.same(contradictionOf(one, other), evidence, "the same proof, whichever came first");
  t.same(decodeEvidence(signer, encodeEvidence(evidence)), evidence);
  t.equal(contradictionOf(one, one), undefined, "the same word twice is none");
  t.equal(contradictionOf(one, wordBy("a", { baseRound: 1 })), undefined, "nor on another base");
  t.equal(contradictionOf(one, wordBy("a", { edition: 2, samples: 3 })), undefined, "nor later");
  t.equal(contradictionOf(one, wordBy("b")), undefined, "nor of another trainer");
  const framed = { ...evidence, second: wordBy("b") };
  t.equal(decodeEvidence(signer, encodeEvidence(framed)), undefined, "nobody is framed");
  const pool = new EvidencePool();
  t.ok(pool.add(evidence));
  t.notOk(pool.add(evidence), "once for each base");
  t.ok(pool.convicts(one));
  for (let at = 0; at < 300; at++) {
    const name = `liar ${at}`;
    pool.add(contradictionOf(wordBy(name), wordBy(name, { samples: 11 }))!);
  }
  t.equal(pool.all().length, 256, "bounded");
});
