import { existsSync, readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import t from "tap";
import { ChangerScript } from "../../../support/raft/changer-script.ts";
import { Interaction } from "../../../support/raft/interaction.ts";
import { comparable } from "../../../support/raft/printer.ts";
import { runQuorum } from "../../../support/raft/quorum-script.ts";
import { type Directive, parseScript } from "../../../support/raft/script.ts";

const vectors = resolve(import.meta.dirname, "../../../../../shared/vectors/raft");

/** How many scripts there are at least: fewer would say that they were not found. */
const suites: readonly [string, number, () => (directive: Directive) => string][] = [
  ["quorum", 4, () => runQuorum],
  [
    "confchange",
    9,
    () => {
      const script = new ChangerScript();
      return (directive) => script.run(directive);
    },
  ],
  [
    "interaction",
    22,
    () => {
      const stage = new Interaction();
      return (directive) => stage.run(directive);
    },
  ],
];

if (!existsSync(vectors)) {
  if (process.env["CI"] === "true") t.fail(`the scripts are missing: ${vectors}`);
  else
    t.pass("published scripts are replayed", {
      skip: `etcd-io/raft's scripts belong to others and are not in this repository: no ${vectors}`,
    });
}

for (const [suite, countMin, begin] of existsSync(vectors) ? suites : [])
  t.test(suite, async (t) => {
    const folder = resolve(vectors, suite);
    const files = readdirSync(folder).filter((name) => name.endsWith(".txt"));
    t.ok(files.length >= countMin, `${files.length} scripts`);
    let passed = 0;
    let total = 0;
    for (const name of files)
      t.test(name, async (t) => {
        const run = begin();
        for (const directive of parseScript(readFileSync(resolve(folder, name), "utf8"))) {
          total++;
          const { line, command } = directive;
          const isSame = t.equal(
            run(directive),
            comparable(directive.expected),
            `line ${line}: ${command}`,
          );
          if (isSame) passed++;
        }
      });
    t.test("count", async (t) => {
      t.comment(`${suite}: ${passed} of ${total} commands print what they should`);
      t.equal(passed, total, "every command prints what it should");
    });
  });
