// `agent-mesh learn data split`: files for the agents of a fleet, from one dataset.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { blobs } from "../../src/federated/data/blobs.ts";
import {
  compressDataset,
  decodeDataset,
  decompressDataset,
  encodeDataset,
} from "../../src/federated/data/dataset-file.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { agentMesh } from "../support/agent-process.ts";

t.setTimeout(120_000);

interface Split {
  readonly items: readonly { file: string; train: number; test: number; classes: number }[];
}

t.test("every sample is in one file, and the same seed gives the same files", async (t) => {
  const directory = t.testdir();
  const whole = blobs(
    { features: 3, classes: 4, train: 200, test: 40, spread: 1 },
    new SeededRandom("whole"),
  );
  const source = join(directory, "whole.dataset");
  writeFileSync(source, compressDataset(encodeDataset(whole, "float32")));
  const split = async (out: string, ...more: readonly string[]): Promise<Split> => {
    const words = ["learn", "data", "split", source, "--out", join(directory, out), "--json"];
    const done = await agentMesh([...words, ...more]);
    t.equal(done.code, 0, done.stderr);
    return JSON.parse(done.stdout) as Split;
  };
  const contents = ({ items }: Split) => items.map(({ file }) => readFileSync(file, "hex"));
  const even = await split("even", "--parts", "5", "--test", "10");
  t.same(
    even.items.map(({ train, test }) => [train, test]),
    Array.from({ length: 5 }, () => [40, 10]),
  );
  const values = even.items.flatMap(({ file }) => [
    ...decodeDataset(decompressDataset(readFileSync(file))).train.features,
  ]);
  const inOrder = (all: Iterable<number>): Float32Array => Float32Array.from(all).sort();
  t.same(inOrder(values), inOrder(whole.train.features), "bit for bit");
  t.same(contents(await split("again", "--parts", "5", "--test", "10")), contents(even));
  t.notSame(
    contents(await split("other", "--parts", "5", "--test", "10", "--seed", "2")),
    contents(even),
  );
  const shards = await split("shards", "--parts", "4", "--by", "shards", "--shards", "1");
  t.ok(
    shards.items.every(({ classes }) => classes <= 2),
    "a piece of the sorted samples",
  );
  const uneven = await split("uneven", "--parts", "4", "--by", "dirichlet", "--alpha", "0.2");
  t.equal(new Set(uneven.items.map(({ train }) => train)).size > 1, true);

  const refused: readonly (readonly [readonly string[], RegExp])[] = [
    [[source], /--parts is missing/],
    [[source, "--parts", "500"], /200 samples are not enough/],
    [[source, "--parts", "4", "--test", "41"], /there are 40 samples, not 41/],
    [[source, "--by", "groups"], /no groups/],
    [["whol", "--parts", "4"], /no known dataset; did you mean/],
    [[join(directory, "none.dataset"), "--parts", "4"], /can not be read/],
  ];
  for (const [words, says] of refused) {
    const { code, stderr } = await agentMesh(["learn", "data", "split", ...words, "--out", "/tmp"]);
    t.not(code, 0);
    t.match(stderr, says);
  }
});
