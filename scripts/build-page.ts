import { cp, mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("../", import.meta.url));
const source = join(root, "src/api/page/");

/**
 * Bundles the web page into `outDir`: index.html, page.js, page.css, favicon.svg.
 * @returns paths of the bundled files, relative to the repository.
 * @throws on a syntax error.
 */
export async function buildPage(outDir: string, options: { minify: boolean }): Promise<string[]> {
  await mkdir(outDir, { recursive: true });
  const [{ metafile }] = await Promise.all([
    build({
      absWorkingDir: root,
      entryPoints: [
        { in: join(source, "main.tsx"), out: "page" },
        { in: join(source, "styles/page.css"), out: "page" },
      ],
      outdir: outDir,
      bundle: true,
      format: "esm",
      platform: "browser",
      target: ["chrome120", "firefox121", "safari17"],
      jsx: "automatic",
      jsxImportSource: "preact",
      minify: options.minify,
      sourcemap: false,
      metafile: true,
      legalComments: "none",
      logLevel: "warning",
    }),
    cp(join(source, "index.html"), join(outDir, "index.html")),
    cp(join(source, "favicon.svg"), join(outDir, "favicon.svg")),
  ]);
  return Object.keys(metafile.inputs);
}

if (import.meta.main) {
  const outDir = resolve(process.argv[2] ?? join(root, "dist/page/"));
  await buildPage(outDir, { minify: true });
  console.log(`The page is in ${outDir}`);
}
