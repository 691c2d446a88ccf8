import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** `node_modules/a/node_modules/@b/c/x.js` → `node_modules/a/node_modules/@b/c`. */
function packageDirectory(input: string): string | undefined {
  return /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(input)?.[0];
}

async function licenseOf(root: string, directory: string): Promise<string> {
  const manifest = JSON.parse(await readFile(join(root, directory, "package.json"), "utf8")) as {
    name: string;
    version: string;
    license?: string;
  };
  const files = await readdir(join(root, directory));
  const file = files.find((name) => /^(licen[cs]e|copying)/i.test(name));
  const text = file === undefined ? "" : await readFile(join(root, directory, file), "utf8");
  const title = `${manifest.name} ${manifest.version} (${manifest.license ?? "see below"})`;
  return `${title}\n${"-".repeat(title.length)}\n\n${text.trim()}\n`;
}

/**
 * The licences that go with a bundle.
 * @param inputs paths of the bundled files, relative to `root`.
 * @returns one text with every bundled package's name, version and licence, sorted by path.
 */
export async function thirdPartyLicenses(root: string, inputs: readonly string[]): Promise<string> {
  const directories = new Set<string>();
  for (const input of inputs) {
    const directory = packageDirectory(input);
    if (directory !== undefined) directories.add(directory);
  }
  const texts: string[] = [];
  for (const directory of [...directories].sort()) texts.push(await licenseOf(root, directory));
  return texts.join("\n\n");
}
