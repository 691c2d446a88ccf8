import { join } from "node:path";
import t, { type Test } from "tap";
import { readLab } from "../../../src/cli/learn/experiment-source.ts";

const YAML = `
name: blobs
dataset: { kind: blobs, classes: 3 }
clients: 8
model: { layers: [{ kind: dense, units: 3 }] }
client: { kind: local, learningRate: 0.05 }
rounds: 4
vary:
  - name: rule
    values:
      mean: {}
      median: { strategy: { rule: { kind: median } } }
      Krum: { strategy: { rule: { kind: krum, byzantine: 1 } } }
  - name: attack
    values:
      none: {}
      noise: { attack: { kind: gaussian, attackers: 2 } }
`;

function read(t: Test, yaml: string) {
  return readLab(join(t.testdir({ "lab.yaml": yaml }), "lab.yaml"));
}

t.test("what is left out has its default, in unions as well", async (t) => {
  const lab = await read(t, YAML);
  t.same(lab.seeds, [1]);
  t.equal(lab.variants.length, 6);
  t.match(lab.variants[0], {
    number: 1,
    labels: [
      ["rule", "mean"],
      ["attack", "none"],
    ],
    experiment: {
      dataset: { kind: "blobs", classes: 3, features: 10, train: 2_000, test: 500, spread: 1 },
      partition: { kind: "iid" },
      fraction: 1,
      client: { kind: "local", epochs: 1, batchSize: 10, momentum: 0, scaffold: false },
      attack: { kind: "none" },
      evaluateEvery: 1,
    },
  });
  t.match(lab.variants[5]?.experiment, {
    strategy: { rule: { kind: "krum", byzantine: 1 } },
    attack: { kind: "gaussian", attackers: 2, sigma: 200 },
  });
});

t.test("what is wrong is named, with its variant and the nearest that is known", async (t) => {
  const table: [from: string, to: string, told: RegExp][] = [
    ["rounds:", "round:", /round is not known; did you mean rounds\?/],
    [
      "learningRate",
      "learningrate",
      /client\.learningrate is not known; did you mean learningRate/,
    ],
    ["name: blobs", "nam: blobs", /nam is not known; did you mean name\?/],
    [
      "kind: median",
      "kind: medien",
      /rule median, attack none\)[^]*strategy\.rule\.kind must be one of mean/,
    ],
    [
      "byzantine: 1",
      "byzantin: 1",
      /rule Krum[^]*strategy\.rule\.byzantin is not known; did you mean byzantine/,
    ],
    ["kind: gaussian", "kind: gauss", /attack\.kind must be one of none, gaussian/],
    ["kind: blobs", "kind: blob", /dataset\.kind must be one of known, csv, blobs/],
    [
      "kind: dense, units: 3",
      "kind: dens, units: 3",
      /model\.layers\.0\.kind must be one of dense, conv1d/,
    ],
    ["clients: 8", "clients: 0", /clients must be >= 1/],
    ["clients: 8", "clients: 8\nclients: 9", /unique/i],
    ["attackers: 2 }", "attackers: 2, sigm: 3 }", /attack\.sigm is not known; did you mean sigma/],
    ["rounds: 4", "rounds: 4\nseeds: []", /seeds must not have fewer than 1/],
    ["mean: {}", "mean: 5", /vary\.0\.values\.mean/],
    [YAML, "- 1", /must hold keys and values/],
    [YAML, "", /must hold keys and values/],
  ];
  for (const [from, to, told] of table)
    await t.rejects(read(t, YAML.replace(from, to)), { message: told }, to);
});
