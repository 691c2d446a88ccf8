// The program in docs/learning-on-the-mesh.md is one that the compiler takes, by the types that the package has.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import t from "tap";
import ts from "typescript";

const repository = resolve(import.meta.dirname, "../../..");
const page = readFileSync(join(repository, "docs/learning-on-the-mesh.md"), "utf8");
const [, code = ""] = /```ts\n(.*?)```/s.exec(page) ?? [];
// Within the repository, where the package's own name means itself.
const directory = t.testdir({ "guide.ts": code });

t.test("what the guide shows compiles", (t) => {
  t.match(code, /agent-mesh\/agent/);
  const file = join(directory, "guide.ts");
  const config = ts.readConfigFile(join(repository, "tsconfig.json"), (path) =>
    ts.sys.readFile(path),
  );
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, repository);

  const program = ts.createProgram([file], options);
  const faults = ts.getPreEmitDiagnostics(program, program.getSourceFile(file));
  t.same(
    faults.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n")),
    [],
  );
  t.end();
});
