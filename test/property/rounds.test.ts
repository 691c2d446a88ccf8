import * as fc from "fast-check";
import t from "tap";
import { rank } from "../../src/federated/rounds/rank.ts";
import { readRecord, signRecord } from "../../src/federated/rounds/round-record.ts";
import { encodeSheet, inSheetOrder, readSheet } from "../../src/federated/rounds/sheet.ts";
import { decodeTalk, encodeTalk } from "../../src/federated/rounds/talk.ts";
import { readWord, type TrainerWord } from "../../src/federated/rounds/trainer-word.ts";
import { nodeHasher } from "../../src/platform/node/hasher.ts";
import { HEAD, hashOf, signerOf, TASK, wordBy } from "../support/rounds/words.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed, numRuns: Number(process.env["FC_RUNS"] ?? 300) });

const signer = signerOf("reader");
const words = ["a", "b", "c"].map((name) => wordBy(name));
const sheet = encodeSheet({
  task: TASK,
  round: 1,
  baseHash: HEAD.modelHash,
  previousSheetHash: undefined,
  words: inSheetOrder(words),
});
const record = signRecord(signerOf("a"), {
  task: TASK,
  round: 1,
  baseHash: HEAD.modelHash,
  previousSheetHash: undefined,
  sheetHash: hashOf("sheet"),
  modelHash: hashOf("model"),
  stateHash: undefined,
  updates: 3,
  samples: 30,
  samplesTotal: 30,
});
const talk = encodeTalk({ kind: "word", word: words[0]! });
const change = fc.record({ at: fc.nat(), byte: fc.integer({ min: 1, max: 255 }), cut: fc.nat(8) });

function damaged(bytes: Uint8Array, { at, byte, cut }: { at: number; byte: number; cut: number }) {
  const copy = bytes.slice(0, bytes.length - cut);
  copy[at % copy.length] = (copy[at % copy.length] ?? 0) ^ byte;
  return copy;
}

/** The envelope of a word may be damaged where it is not looked at; what was signed is not. */
function isOriginal({ signed }: TrainerWord): boolean {
  return Buffer.from(signed.word).equals(words[0]!.signed.word);
}

t.test("whatever bytes come in, nothing is read that was not signed", async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      const word = { publicKey: signer.publicKey, word: bytes, signature: bytes };
      return (
        readSheet(signer, bytes) === undefined &&
        typeof readRecord(signer, bytes) === "string" &&
        typeof readWord(signer, word) === "string" &&
        decodeTalk(signer, bytes)?.kind !== "word"
      );
    }),
  );
  fc.assert(
    fc.property(change, (how) => {
      const said = decodeTalk(signer, damaged(talk, how));
      // A sheet is named by its hash: it has one form for each content, and every word in it is signed.
      const bytes = damaged(sheet, how);
      const read = readSheet(signer, bytes);
      return (
        (read === undefined || Buffer.from(encodeSheet(read)).equals(bytes)) &&
        typeof readRecord(signer, damaged(record, how)) === "string" &&
        (said?.kind !== "word" || isOriginal(said.word))
      );
    }),
  );
});

t.test("the order of candidates is everybody's, and one more shifts nobody else", async () => {
  const peers = fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(peers, fc.nat(), (names, round) => {
      const key = { task: TASK, round };
      const order = rank(nodeHasher, key, names);
      const same = rank(nodeHasher, key, names.toReversed());
      const more = rank(nodeHasher, key, [...names, "\u0000new"]);
      const without = more.filter((peer) => peer !== "\u0000new" || names.includes(peer));
      return order.join() === same.join() && without.join() === order.join();
    }),
  );
});
