import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Test } from "tap";

/**
 * Holds a block of plain text in a guide to what really happens. With DOCS_UPDATE=1 it writes it there instead.
 * @param guide file below `docs/`
 * @param heading the block is the first one behind it; behind the beginning unless given
 */
export function sameAsDocumented(
  t: Test,
  guide: string,
  lines: readonly string[],
  heading = "",
): void {
  const path = join(import.meta.dirname, "../../../docs", guide);
  const text = readFileSync(path, "utf8");
  const begin = text.indexOf("```text\n", text.indexOf(heading)) + "```text\n".length;
  const end = text.indexOf("```", begin);
  if (process.env["DOCS_UPDATE"] === "1")
    writeFileSync(path, `${text.slice(0, begin)}${lines.join("\n")}\n${text.slice(end)}`);
  t.same(text.slice(begin, end).trimEnd().split("\n"), lines, `docs/${guide} tells what happens`);
}
