// Loaded before everything else (`--import`): puts the bug that PLANTED_BUG names into its source.
import { registerHooks } from "node:module";
import { plantedBugs } from "./bugs.ts";
import { consensusBugs } from "./consensus-bugs.ts";

const name = process.env["PLANTED_BUG"];
const bug = [...plantedBugs, ...consensusBugs].find((each) => each.name === name);
if (bug === undefined) throw new Error(`PLANTED_BUG=${name} is none of the planted bugs`);
const edits = [bug, ...(bug.also ?? [])].map(({ file, ...edit }) => ({
  ...edit,
  file,
  url: new URL(`../../src/${file}`, import.meta.url).href,
}));

registerHooks({
  load(asked, context, next) {
    const loaded = next(asked, context);
    const wanted = edits.filter(({ url }) => url === asked);
    if (wanted.length === 0) return loaded;
    let source = Buffer.from(loaded.source as Uint8Array).toString("utf8");
    for (const { file, find, replace } of wanted) {
      const [before, ...rest] = source.split(find);
      if (rest.length !== 1 || before === undefined)
        throw new Error(`${file} has the text of ${bug.name} ${rest.length} times, not once`);
      source = `${before}${replace}${rest[0]}`;
    }
    process.stderr.write(`planted ${bug.name}\n`);
    return { ...loaded, source };
  },
});
