// Every line of docs/guarantees.md names a test, and that test exists.
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import t from "tap";

const root = resolve(import.meta.dirname, "../..");
const page = readFileSync(join(root, "docs/guarantees.md"), "utf8");

/** Rows of the page's tables, without their heads. */
const rows = page
  .split("\n")
  .filter((line) => line.startsWith("|") && !/^\| *(-|Promise|Fault)/.test(line))
  .map((line) => line.split("|").map((cell) => cell.trim()));

t.test("every promise names a test that exists", async (t) => {
  t.ok(rows.length >= 35, `${rows.length} promises`);
  for (const row of rows) {
    const [, path = "", name = ""] =
      /^`(test\/[^`]+\.test\.ts)`: (.+)$/.exec(row.at(-2) ?? "") ?? [];
    if (path === "" || !existsSync(join(root, path))) t.fail(`no test: ${row.join(" | ")}`);
    else if (!readFileSync(join(root, path), "utf8").includes(name))
      t.fail(`${path} has no test '${name}'`);
  }
});

t.test("every fault of the harness is one of the page's, in words", async (t) => {
  const harness = readFileSync(join(root, "faults/catalogue.ts"), "utf8");
  const faults = [...harness.matchAll(/name: "([a-z-]+)"/g)].map(([, name]) => name ?? "");
  t.ok(faults.length >= 20);
  // What the page must speak of, for every name to be covered.
  const spoken: Readonly<Record<string, RegExp>> = {
    "upstream-killed": /upstream broker is killed/,
    "link-shut": /link is cut again/,
    "link-silent": /link is cut silently/,
    "acks-lost": /PUBACKs are lost/,
    reconnects: /again and again/,
    "agent-killed": /SIGKILL at any moment/,
    "killed-at-start": /while a store with a log is opened/,
    "killed-at-creation": /also while it is made/,
    "killed-at-write": /at any system call/,
    "power-cut": /Power cut/,
    "torn-log": /torn tail/,
    orphans: /left over by killed processes/,
    "config-changed": /other settings/,
    "clock-jumped": /1970/,
    "second-agent": /Two agents/,
    "disk-full": /disk is full +\|/,
    "disk-full-killed": /disk is full +\|/,
    "disk-full-start": /full at start/,
    "sync-error": /a sync fails/,
    "write-error": /A write or/,
    "current-emptied": /CURRENT or the manifest/,
    "manifest-emptied": /CURRENT or the manifest/,
    "log-bit-flipped": /flipped in the log/,
    "table-bit-flipped": /flipped in a table/,
    "table-emptied": /A table is empty/,
  };
  for (const fault of faults) {
    const words = spoken[fault];
    if (words === undefined || !words.test(page))
      t.fail(`docs/guarantees.md says nothing of ${fault}`);
  }
});
