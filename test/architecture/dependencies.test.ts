// docs/dependencies.md gives a reason for every package in package.json, and for no other.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import t from "tap";

const repository = resolve(import.meta.dirname, "../..");
const packages = JSON.parse(readFileSync(join(repository, "package.json"), "utf8")) as Record<
  "dependencies" | "optionalDependencies" | "devDependencies",
  Record<string, string>
>;
const page = readFileSync(join(repository, "docs/dependencies.md"), "utf8");

function documented(title: string): string[] {
  const section = page.split(`## ${title}\n`)[1]?.split("\n## ")[0] ?? "";
  return [...section.matchAll(/^\| `([^`]+)` +\| .+ \| .+ \|$/gm)].map((row) => row[1] ?? "");
}

t.test("every dependency is documented where it belongs", async (t) => {
  t.same(documented("On the device").sort(), Object.keys(packages.dependencies).sort());
  t.same(documented("The runtime").sort(), Object.keys(packages.optionalDependencies).sort());
  t.same(documented("For development only").sort(), Object.keys(packages.devDependencies).sort());
});

t.test("versions are exact", async (t) => {
  for (const [name, version] of Object.values(packages).flatMap((group) =>
    typeof group === "object" ? Object.entries(group) : [],
  )) {
    if (typeof version === "string" && /^[\^~><*]|^latest$/.test(version))
      t.fail(`${name}@${version}`);
  }
});

t.test("the licence of everything that is bundled goes with it", async (t) => {
  const out = t.testdir();
  const done = spawnSync(process.execPath, [join(repository, "scripts/build.ts"), "--out", out], {
    encoding: "utf8",
  });
  t.equal(done.status, 0, done.stderr);
  const licences = readFileSync(join(out, "THIRD-PARTY-LICENSES.txt"), "utf8");
  const titles = [...licences.matchAll(/^(\S+) \S+ \(.+\)\n-+\n\n(.)/gm)].map((title) => title[1]);
  for (const name of [...Object.keys(packages.dependencies), "preact", "uplot"])
    t.ok(titles.includes(name), name);
});
