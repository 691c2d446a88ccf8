import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, chromium } from "playwright-core";

/** Debian's Chromium; `CHROMIUM_PATH` names another. */
export const CHROMIUM = process.env["CHROMIUM_PATH"] ?? "/usr/bin/chromium";

/** A running Chromium. */
export interface Browser {
  readonly context: BrowserContext;
  close(): Promise<void>;
}

/** Starts a Chromium of its own, in a profile of its own. */
export async function launchBrowser(options: {
  width: number;
  height: number;
  colorScheme: "light" | "dark";
}): Promise<Browser> {
  const profile = await mkdtemp(join(tmpdir(), "agent-mesh-chromium-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM,
    headless: true,
    viewport: { width: options.width, height: options.height },
    colorScheme: options.colorScheme,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  return {
    context,
    async close() {
      await context.close();
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
