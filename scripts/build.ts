/**
 * Makes `dist/`: everything that a device needs besides a Node.js binary. It may be copied anywhere.
 *
 *     main.js               entry: switches the compile cache on, then loads the bundle
 *     agent.js              the agent as a library (`agent-mesh/agent`)
 *     mesh.js               a node of the mesh as a library (`agent-mesh/mesh`)
 *     receiver.js           the receiver as a library (`agent-mesh/receiver`)
 *     agent-mesh.js         the agent, with chunk-*.js for what is only loaded when it is asked for
 *     learning-worker.js    the thread that models are trained in, and updates are put together
 *     native/               addons of LevelDB, QUIC and WebRTC
 *     page/                 the web page
 *     docs/                 the REST reference's viewer
 *     openapi.json          what the viewer shows
 *     firmware-profiles/    known devices
 *     agent-mesh.service    the systemd unit, for `doctor` to compare with
 *     THIRD-PARTY-LICENSES.txt
 *
 * Why a bundle, why ES modules and why names are kept: docs/decisions/bundle.md.
 */

import { existsSync } from "node:fs";
import {
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { isBuiltin } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { build, type Metafile, type Plugin } from "esbuild";
import { parse } from "yaml";
import { buildPage } from "./build-page.ts";
import { thirdPartyLicenses } from "./licenses.ts";

const root = resolve(import.meta.dirname, "..");
const stagingPrefix = ".staging-";
/**
 * Native addons, by the name that they have in `native/`: where each comes from, and whether it may be missing. npm
 * installs those of the machine at hand; `scripts/fetch-node.ts` brings those of another architecture.
 */
const addonFiles: Readonly<Record<string, { readonly from: string; readonly optional?: true }>> = {
  "classic-level-linux-x64": { from: "classic-level/prebuilds/linux-x64/classic-level.node" },
  "classic-level-linux-arm64": {
    from: "classic-level/prebuilds/linux-arm64/classic-level.armv8.node",
  },
  ...Object.fromEntries(
    ["x64", "arm64"].flatMap((architecture) => {
      const quic = `libp2p-quic-linux-${architecture}-gnu`;
      const webRtc = `@node-datachannel/linux-${architecture}-gnu/node_datachannel.node`;
      return [
        [
          `libp2p-quic-linux-${architecture}`,
          { from: `@chainsafe/${quic}/${quic.replace("quic-", "quic.")}.node`, optional: true },
        ],
        [`node-datachannel-linux-${architecture}`, { from: webRtc, optional: true }],
      ];
    }),
  ),
};

/** CommonJS dependencies inside an ES module still ask for `require` and their own place. */
const commonJsBridge =
  'import{createRequire as __createRequire}from"node:module";' +
  "const require=__createRequire(import.meta.url);" +
  "const __bridgeFilename=import.meta.filename;const __bridgeDirname=import.meta.dirname;";

const entry = `import { enableCompileCache, flushCompileCache } from "node:module";
import { join } from "node:path";
// systemd names a directory; otherwise the user's own. Never a shared one: the cache is executable code.
const { CACHE_DIRECTORY, XDG_CACHE_HOME, HOME } = process.env;
const base = CACHE_DIRECTORY ?? (XDG_CACHE_HOME ?? (HOME && join(HOME, ".cache")));
if (base) {
  enableCompileCache(CACHE_DIRECTORY ? base : join(base, "agent-mesh"));
  // The cache is written at exit, which a device that loses power never has.
  setTimeout(flushCompileCache, 15_000).unref();
}
await import("./agent-mesh.js");
`;

/** Through a variable, or esbuild would look for the file itself. */
function found(name: string): string {
  return `const file = "./native/${name}-linux-" + process.arch + ".node"; const addon = require(file);`;
}

/** Addons are looked for beside the bundle instead of in node_modules. */
const nativeAddon: Plugin = {
  name: "native-addon",
  setup(esbuild) {
    esbuild.onLoad({ filter: /classic-level[\\/]binding\.js$/ }, () => ({
      contents: `${found("classic-level")} module.exports = addon;`,
      loader: "js",
    }));
    esbuild.onLoad({ filter: /libp2p-quic[\\/]dist[\\/]src[\\/]napi\.js$/ }, async ({ path }) => {
      const names = [...(await readFile(path, "utf8")).matchAll(/^export \{ (\w+) \};$/gm)];
      if (names.length === 0) throw new Error(`${path} does not export what it used to`);
      const exported = names.map(([, name]) => name).join(", ");
      return {
        contents: `${found("libp2p-quic")} export const { ${exported} } = addon;`,
        loader: "js",
      };
    });
    esbuild.onLoad(
      { filter: /node-datachannel[\\/]dist[\\/]esm[\\/]lib[\\/]node-datachannel\.mjs$/ },
      () => ({
        contents: `${found("node-datachannel")} export default addon;`,
        loader: "js",
      }),
    );
  },
};

/**
 * Split off as a chunk, a CommonJS package would only have a default export; under Node.js it also has
 * names. The chunk exports what Node.js does, so that sources and bundle behave alike.
 */
const lazyPackages: Plugin = {
  name: "lazy-packages",
  setup(esbuild) {
    esbuild.onResolve({ filter: /^[^./]/ }, (found) =>
      found.kind === "dynamic-import" && !isBuiltin(found.path)
        ? { path: found.path, namespace: "lazy", pluginData: found.resolveDir }
        : undefined,
    );
    esbuild.onLoad({ filter: /.*/, namespace: "lazy" }, async (found) => {
      const names = Object.keys((await import(found.path)) as object);
      const identifiers = names.filter((name) => /^[A-Za-z_$][\w$]*$/.test(name));
      const contents = `export { ${identifiers.join(", ")} } from ${JSON.stringify(found.path)};`;
      return { contents, loader: "js", resolveDir: found.pluginData as string };
    });
  },
};

/** Traces of libraries, off in every build: they would still be asked for several times a message. */
const noTraces: Plugin = {
  name: "no-traces",
  setup(esbuild) {
    esbuild.onLoad({ filter: /node_modules[\\/]debug[\\/]src[\\/]index\.js$/ }, () => ({
      contents: "const off = () => {}; off.enabled = false; module.exports = () => off;",
      loader: "js",
    }));
  },
};

async function bundle(outdir: string, main: string): Promise<Metafile> {
  const result = await build({
    absWorkingDir: root,
    entryPoints: {
      "agent-mesh": main,
      agent: join(root, "src/agent/production-library.ts"),
      receiver: join(root, "src/receiver/production.ts"),
      mesh: join(root, "src/mesh/production.ts"),
      // Started as a file by the thread's own side, whichever of the others that is in.
      "learning-worker": join(root, "src/agent/production-learning-worker.ts"),
    },
    outdir,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node24",
    chunkNames: "chunk-[hash]",
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: "none",
    banner: { js: commonJsBridge },
    define: { __filename: "__bridgeFilename", __dirname: "__bridgeDirname" },
    plugins: [nativeAddon, lazyPackages, noTraces],
    metafile: true,
    logLevel: "error",
  });
  return result.metafile;
}

async function addons(outdir: string): Promise<void> {
  await mkdir(join(outdir, "native"));
  for (const [name, { from, optional }] of Object.entries(addonFiles)) {
    const file = join(root, "node_modules", from);
    if (existsSync(file)) await cp(file, join(outdir, `native/${name}.node`));
    else if (optional !== true) throw new Error(`${relative(root, file)} is missing; run 'npm ci'`);
  }
}

async function apiViewer(outdir: string): Promise<void> {
  const from = join(root, "node_modules/swagger-ui-dist");
  await mkdir(join(outdir, "docs"));
  for (const file of [
    "swagger-ui-bundle.js",
    "swagger-ui-bundle.js.LICENSE.txt",
    "swagger-ui.css",
    "favicon-32x32.png",
    "LICENSE",
    "NOTICE",
  ]) {
    await cp(join(from, file), join(outdir, "docs", file));
  }
}

async function copied(outdir: string): Promise<void> {
  for (const [from, to] of [
    ["openapi/openapi.json", "openapi.json"],
    ["systemd/agent-mesh.service", "agent-mesh.service"],
  ] as const) {
    if (existsSync(join(root, from))) {
      await cp(join(root, from), join(outdir, to), { recursive: true });
    }
  }
}

/** As JSON: a device that starts should not have to load a YAML parser first. */
async function firmwareProfiles(outdir: string): Promise<void> {
  const from = join(root, "firmware-profiles");
  await mkdir(join(outdir, "firmware-profiles"));
  for (const file of await readdir(from)) {
    const document: unknown = parse(await readFile(join(from, file), "utf8"));
    const target = join(outdir, "firmware-profiles", file.replace(/\.ya?ml$/, ".json"));
    await writeFile(target, `${JSON.stringify(document, null, 2)}\n`);
  }
}

async function manifest(outdir: string): Promise<void> {
  const { name, version, license } = JSON.parse(
    await readFile(join(root, "package.json"), "utf8"),
  ) as Record<string, string>;
  const fields = { name, version, license, type: "module" };
  await writeFile(join(outdir, "package.json"), `${JSON.stringify(fields, null, 2)}\n`);
}

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
    .filter((file) => !file.startsWith(stagingPrefix));
}

/** Builds that were killed leave their staging directory behind. */
async function removeAbandoned(dist: string): Promise<void> {
  for (const name of await readdir(dist)) {
    if (!name.startsWith(stagingPrefix)) continue;
    const { mtimeMs } = await stat(join(dist, name));
    if (Date.now() - mtimeMs > 600_000) await rm(join(dist, name), { recursive: true });
  }
}

/** Waits for all, also when one fails, so that nothing writes into a directory being removed. */
async function allDone<T>(first: Promise<T>, ...others: Promise<unknown>[]): Promise<T> {
  await Promise.allSettled([first, ...others]);
  await Promise.all(others);
  return first;
}

/** Replaces file by file and only what differs: a running agent may be reading the old ones. */
async function publish(staging: string, dist: string): Promise<number> {
  const fresh = await filesBelow(staging);
  let changed = 0;
  for (const file of fresh) {
    const target = join(dist, file);
    const contents = await readFile(join(staging, file));
    if (existsSync(target) && contents.equals(await readFile(target))) continue;
    await mkdir(dirname(target), { recursive: true });
    await rename(join(staging, file), target);
    changed += 1;
  }
  const kept = new Set(fresh);
  for (const file of await filesBelow(dist)) {
    if (!kept.has(file)) await rm(join(dist, file));
  }
  return changed;
}

/**
 * Builds everything.
 * @returns how many files differ from what was there, and the bundle's size in bytes.
 * @throws Error naming what is missing or does not compile.
 */
async function buildAll(main: string, dist: string): Promise<{ changed: number; bytes: number }> {
  if (!existsSync(main)) throw new Error(`${relative(root, main)} does not exist`);
  await mkdir(dist, { recursive: true });
  await removeAbandoned(dist);
  const staging = await mkdtemp(join(dist, stagingPrefix));
  try {
    const page = buildPage(join(staging, "page"), { minify: true });
    const metafile = await allDone(
      bundle(staging, main),
      page,
      addons(staging),
      apiViewer(staging),
      copied(staging),
      firmwareProfiles(staging),
      manifest(staging),
      writeFile(join(staging, "main.js"), entry),
    );
    const licenses = await thirdPartyLicenses(root, [
      ...Object.keys(metafile.inputs),
      ...(await page),
      // Copied as it is by apiViewer().
      "node_modules/swagger-ui-dist/swagger-ui-bundle.js",
    ]);
    await writeFile(join(staging, "THIRD-PARTY-LICENSES.txt"), licenses);
    const bytes = Object.values(metafile.outputs).reduce((sum, output) => sum + output.bytes, 0);
    return { changed: await publish(staging, dist), bytes };
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

const usage = `Usage: node scripts/build.ts [--main FILE] [--out DIR]

Bundles the agent into dist/, which runs anywhere with Node.js 24.

  --main FILE   entry to bundle (src/main.ts)
  --out DIR     where to (dist)
  --help        this text
`;

try {
  const { values } = parseArgs({
    options: {
      main: { type: "string", default: join(root, "src/main.ts") },
      out: { type: "string", default: join(root, "dist") },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
  } else {
    const startedMs = performance.now();
    const { changed, bytes } = await buildAll(resolve(values.main), resolve(values.out));
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    const outcome = changed === 0 ? "up to date" : `${changed} files written`;
    console.log(`build: ${outcome}, bundle ${Math.round(bytes / 1000)} kB, ${seconds} s`);
  }
} catch (error) {
  console.error(`build: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
