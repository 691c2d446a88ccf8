import { existsSync } from "node:fs";
import { cp, mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type BuildOptions, build, type Plugin } from "esbuild";

const root = fileURLToPath(new URL("../", import.meta.url));
const source = join(root, "src/api/page/");

/** A source that has a `.browser.ts` beside it gives way to that one. */
const browserVariants: Plugin = {
  name: "browser-variants",
  setup(esbuild) {
    esbuild.onResolve({ filter: /^\.\.?\/.*\.ts$/ }, ({ path, resolveDir }) => {
      const variant = join(resolveDir, path.replace(/\.ts$/, ".browser.ts"));
      return existsSync(variant) ? { path: variant } : undefined;
    });
  },
};

/**
 * Bundles the web page into `outDir`: index.html, page.js, page.css, favicon.svg, and browser-node.js, which the page
 * loads when somebody joins the mesh from there.
 * @returns paths of the bundled files, relative to the repository.
 * @throws on a syntax error.
 */
export async function buildPage(outDir: string, options: { minify: boolean }): Promise<string[]> {
  await mkdir(outDir, { recursive: true });
  const shared = {
    absWorkingDir: root,
    outdir: outDir,
    bundle: true,
    format: "esm",
    platform: "browser",
    target: ["chrome120", "firefox121", "safari17"],
    minify: options.minify,
    sourcemap: false,
    metafile: true,
    legalComments: "none",
    logLevel: "warning",
  } as const satisfies BuildOptions;
  const [page, node] = await Promise.all([
    build({
      ...shared,
      entryPoints: [
        { in: join(source, "main.tsx"), out: "page" },
        { in: join(source, "styles/page.css"), out: "page" },
      ],
      jsx: "automatic",
      jsxImportSource: "preact",
    }),
    build({
      ...shared,
      entryPoints: [{ in: join(root, "src/mesh/browser.ts"), out: "browser-node" }],
      plugins: [browserVariants],
    }),
    cp(join(source, "index.html"), join(outDir, "index.html")),
    cp(join(source, "favicon.svg"), join(outDir, "favicon.svg")),
  ]);
  return [...new Set([page, node].flatMap(({ metafile }) => Object.keys(metafile.inputs)))];
}

if (import.meta.main) {
  const outDir = resolve(process.argv[2] ?? join(root, "dist/page/"));
  await buildPage(outDir, { minify: true });
  console.log(`The page is in ${outDir}`);
}
