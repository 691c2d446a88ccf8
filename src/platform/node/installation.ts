import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Where the files are that came with the agent. */
export interface Installation {
  readonly version: string;
  readonly pageDirectory: string;
  /** Holds `openapi.json`. */
  readonly openapiDirectory: string;
  /** Files of swagger-ui-dist. */
  readonly docsDirectory: string;
}

/**
 * Finds the agent's own files: beside the bundle on a device, in the checkout when the sources run.
 * @param moduleDirectory the directory of the program's entry module
 */
export function findInstallation(moduleDirectory: string): Installation {
  const bundled = existsSync(join(moduleDirectory, "native"));
  const root = bundled ? moduleDirectory : dirname(moduleDirectory);
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    version: string;
  };
  if (bundled)
    return {
      version,
      pageDirectory: join(root, "page"),
      openapiDirectory: root,
      docsDirectory: join(root, "docs"),
    };
  return {
    version,
    pageDirectory: join(root, "dist/page"),
    openapiDirectory: join(root, "openapi"),
    docsDirectory: join(root, "node_modules/swagger-ui-dist"),
  };
}
