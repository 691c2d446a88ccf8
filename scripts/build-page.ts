import { cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const source = fileURLToPath(new URL("../src/api/page/", import.meta.url));

/** Bundles the web page into `outDir`: index.html, page.js, page.css, favicon.svg. @throws on a syntax error. */
export async function buildPage(outDir: string, options: { minify: boolean }): Promise<void> {
  await mkdir(outDir, { recursive: true });
  await Promise.all([
    build({
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
      legalComments: "none",
      logLevel: "warning",
    }),
    cp(join(source, "index.html"), join(outDir, "index.html")),
    cp(join(source, "favicon.svg"), join(outDir, "favicon.svg")),
  ]);
}

if (import.meta.main) {
  const outDir = process.argv[2] ?? fileURLToPath(new URL("../dist/page/", import.meta.url));
  await buildPage(outDir, { minify: true });
  console.log(`The page is in ${outDir}`);
}
