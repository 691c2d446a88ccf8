import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { NodeAssetDirectory } from "../../src/platform/node/asset-directory.ts";
import { DataDirectory } from "../../src/platform/node/data-directory.ts";
import { nodeHasher } from "../../src/platform/node/hasher.ts";

t.test("assets are those files, and nothing outside", async (t) => {
  const root = t.testdir({
    secret: "no",
    page: { "index.html": "<p>", assets: { "a.js": "1" } },
  });
  const assets = new NodeAssetDirectory(join(root, "page"));
  t.equal(Buffer.from((await assets.read("index.html"))!.body).toString(), "<p>");
  const before = await assets.read("assets/a.js");
  t.match(before?.etag, /^"[^"]+"$/);
  for (const path of ["../secret", "assets/../../secret", "/etc/passwd", "assets", "", "none"]) {
    t.equal(await assets.read(path), undefined, path);
  }
  writeFileSync(join(root, "page/assets/a.js"), "22");
  t.not((await assets.read("assets/a.js"))?.etag, before?.etag, "a changed file has another tag");
  t.equal(await new NodeAssetDirectory(join(root, "none")).read("index.html"), undefined);
});

t.test("digests are SHA-256, compared by value", async (t) => {
  // FIPS 180-4 example: "abc".
  const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  t.equal(nodeHasher.sha256Hex("abc"), abc);
  t.equal(nodeHasher.sha256Hex(Buffer.from("abc")), abc);
  t.equal(nodeHasher.equal(abc, abc), true);
  t.equal(nodeHasher.equal(abc, `0${abc.slice(1)}`), false);
  t.equal(nodeHasher.equal(abc, abc.slice(1)), false);
});

t.test("a data directory that can not be made is told, and trying ends", async (t) => {
  const data = join(t.testdir(), "a/b/c");
  t.equal(new DataDirectory(data).path, data, "missing parents are made");
  const file = join(t.testdir({ file: "" }), "file/x");
  t.throws(() => new DataDirectory(file), /part of its path is a file.*--data/);
  // Node's own recursive mkdir spins for ever on this one.
  t.throws(() => new DataDirectory("/proc/none/x"), /can not be used.*--data/);
});
