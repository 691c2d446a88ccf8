import { readFile } from "node:fs/promises";
import t from "tap";
import { errorsDocument, openapiDocument } from "../../scripts/openapi.ts";
import { problemCatalogue } from "../../src/api/problem-catalogue.ts";

const read = (path: string) => readFile(new URL(`../../${path}`, import.meta.url), "utf8");

t.test("docs/errors.md tells every problem code as the code has it", async (t) => {
  t.equal(await read("docs/errors.md"), errorsDocument(), "run: npm run openapi");
});

t.test("openapi/openapi.json is what the routes say", async (t) => {
  const wanted = `${JSON.stringify(await openapiDocument(), null, 2)}\n`;
  t.equal(await read("openapi/openapi.json"), wanted, "run: npm run openapi");
});

t.test("codes that rooms throw and the API passes on are in the catalogue", async (t) => {
  const sources = await Promise.all(
    [
      "src/outbox/update.ts",
      "src/platform/key-value-store.ts",
      "src/access/tokens.ts",
      "src/federated/tasks/learning-error.ts",
    ].map(read),
  );
  const codes = sources.flatMap((text) =>
    [...text.matchAll(/readonly code:\s*([^;]+);/g)].flatMap(([, union = ""]) =>
      [...union.matchAll(/"([a-z.-]+)"/g)].map(([, code = ""]) => code),
    ),
  );
  t.ok(codes.length >= 10, "codes were found");
  t.same(
    codes.filter((code) => !Object.hasOwn(problemCatalogue, code)),
    [],
  );
});
