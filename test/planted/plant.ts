// Loaded before everything else (`--import`): puts the bug that PLANTED_BUG names into its source.
import { registerHooks } from "node:module";
import { plantedBugs } from "./bugs.ts";

const name = process.env["PLANTED_BUG"];
const bug = plantedBugs.find((each) => each.name === name);
if (bug === undefined) throw new Error(`PLANTED_BUG=${name} is none of the planted bugs`);
const url = new URL(`../../src/${bug.file}`, import.meta.url).href;

registerHooks({
  load(asked, context, next) {
    const loaded = next(asked, context);
    if (asked !== url) return loaded;
    const source = Buffer.from(loaded.source as Uint8Array).toString("utf8");
    const [before, ...rest] = source.split(bug.find);
    if (rest.length !== 1 || before === undefined)
      throw new Error(`${bug.file} has the text of ${bug.name} ${rest.length} times, not once`);
    process.stderr.write(`planted ${bug.name}\n`);
    return { ...loaded, source: `${before}${bug.replace}${rest[0]}` };
  },
});
