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
  const text =
    file === undefined
      ? await standardText(root, manifest.name, manifest.license ?? "")
      : await readFile(join(root, directory, file), "utf8");
  const title = `${manifest.name} ${manifest.version} (${manifest.license ?? "see below"})`;
  return `${title}\n${"-".repeat(title.length)}\n\n${text.trim()}\n`;
}

/** A package of libp2p names its licence and leaves the text out; the text has to go with the bundle all the same. */
async function standardText(root: string, name: string, expression: string): Promise<string> {
  const holder = `Copyright (c) the authors of ${name}`;
  // Of a choice one is enough, and the shortest serves.
  const wanted = /\bOR\b/.test(expression) && expression.includes("MIT") ? "MIT" : expression;
  const texts = await Promise.all(
    [...wanted.matchAll(/[\w.-]+/g)]
      .map(([id]) => id)
      .filter((id) => id !== "AND")
      .map(async (id) => {
        if (id === "MIT") return `${holder}\n\n${mit}`;
        if (id === "ISC") return `${holder}\n\n${isc}`;
        if (id === "BSD-3-Clause") return `${holder}\n\n${bsd3}`;
        if (id === "Apache-2.0") return readFile(join(root, apacheFile), "utf8");
        throw new Error(`${name} has no licence text, and none is known for "${expression}"`);
      }),
  );
  return texts.join("\n\n");
}

/** The text is the same for all that are under it. */
const apacheFile = "node_modules/@grpc/grpc-js/LICENSE";

const asIs = `THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;

const mit = `Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

${asIs}`;

const isc = `Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted,
provided that the above copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL
IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT,
INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN
ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF
THIS SOFTWARE.`;

const bsd3 = `Redistribution and use in source and binary forms, with or without modification, are permitted provided that the
following conditions are met:

1. Redistributions of source code must retain the above copyright notice, this list of conditions and the following
   disclaimer.
2. Redistributions in binary form must reproduce the above copyright notice, this list of conditions and the following
   disclaimer in the documentation and/or other materials provided with the distribution.
3. Neither the name of the copyright holder nor the names of its contributors may be used to endorse or promote products
   derived from this software without specific prior written permission.

THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR IMPLIED WARRANTIES,
INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT, INCIDENTAL,
SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES;
LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN
CONTRACT, STRICT LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE OF THIS
SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.`;

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
