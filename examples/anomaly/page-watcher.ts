import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import type { FleetAgent } from "./fleet-agent.ts";

const CHROMIUM = process.env["CHROMIUM_PATH"] ?? "/usr/bin/chromium";
const SEEN_WITHIN_MS = 30_000;

/** Looks at agents' pages in Chromium, as an operator would. */
export class PageWatcher {
  readonly #context: BrowserContext;
  readonly #screenshots: string | undefined;

  private constructor(context: BrowserContext, screenshots: string | undefined) {
    this.#context = context;
    this.#screenshots = screenshots;
  }

  /**
   * @param directory for the browser's files
   * @param screenshots where pictures go, if they shall
   * @throws Error when there is no browser
   */
  static async open(directory: string, screenshots: string | undefined): Promise<PageWatcher> {
    if (!existsSync(CHROMIUM))
      throw new Error(
        `there is no browser at ${CHROMIUM}: apt-get install chromium, name one in CHROMIUM_PATH, or give --no-browser`,
      );
    if (screenshots !== undefined) await mkdir(screenshots, { recursive: true });
    const context = await chromium.launchPersistentContext(join(directory, "browser"), {
      executablePath: CHROMIUM,
      headless: true,
      // What it puts down elsewhere would stay there.
      env: { ...process.env, TMPDIR: directory },
      // Whoever interrupts the example ends everything in order.
      handleSIGINT: false,
      handleSIGTERM: false,
      viewport: { width: 1_280, height: 900 },
      args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
    });
    return new PageWatcher(context, screenshots);
  }

  /** Signs in to an agent's page. */
  async look(agent: FleetAgent): Promise<Page> {
    const page = await this.#context.newPage();
    page.setDefaultTimeout(SEEN_WITHIN_MS);
    await page.goto(agent.api);
    await page.getByLabel("Access token").fill(await agent.token());
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.locator("#learning article").first().waitFor();
    return page;
  }

  /** @returns the picture's file; undefined when no pictures are wanted */
  async picture(page: Page, name: string): Promise<string | undefined> {
    if (this.#screenshots === undefined) return undefined;
    const path = join(this.#screenshots, `${name}.png`);
    await page.screenshot({ path, fullPage: true });
    return path;
  }

  async close(): Promise<void> {
    await this.#context.close();
  }
}

/** Waits until the page says that there is an anomaly. @throws Error when it does not in time */
export async function anomalyOn(page: Page): Promise<string> {
  const newest = page.getByLabel("Anomalies, newest first").getByText(/^Anomaly: /);
  await newest.first().waitFor();
  return page.getByLabel("Anomalies, newest first").locator("li").first().innerText();
}
