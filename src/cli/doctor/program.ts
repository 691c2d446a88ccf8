import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Check, fail, ok, wordsOf } from "./finding.ts";

const nodeMajorMin = 24;

/** Node.js, the agent's own files, and the addon that talks to the database. */
export const checkProgram: Check = async ({ installation }) => {
  const { node } = process.versions;
  const reinstall =
    "install again: systemd/install.sh on a device, 'npm ci && npm run build' in a checkout";
  const runtime =
    Number(node.split(".")[0]) >= nodeMajorMin
      ? ok("Node.js", `${node} on ${process.arch}`)
      : fail(
          "Node.js",
          `${node} is too old`,
          "start the agent with bin/agent-mesh, which brings its own",
        );
  const missing = [
    join(installation.pageDirectory, "index.html"),
    join(installation.openapiDirectory, "openapi.json"),
    join(installation.docsDirectory, "swagger-ui-bundle.js"),
  ].filter((file) => !existsSync(file));
  const files =
    missing.length === 0
      ? ok("program files", `complete, version ${installation.version}`)
      : fail("program files", `missing: ${missing.join(", ")}`, reinstall);
  try {
    await import("../../platform/level/level-store.ts");
    return [runtime, files, ok("database addon", "loads")];
  } catch (error) {
    const glibc =
      "it needs a 64-bit Linux with glibc (Debian, Raspberry Pi OS, Ubuntu, not Alpine)";
    return [runtime, files, fail("database addon", wordsOf(error), `${reinstall}; ${glibc}`)];
  }
};
