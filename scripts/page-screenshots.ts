import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { launchBrowser } from "../test/support/page-browser.ts";
import { STUB_TOKEN, startPageStub } from "../test/support/page-stub.ts";
import { type StubState, stubState } from "../test/support/page-stub-data.ts";
import { buildPage } from "./build-page.ts";

/**
 * Photographs the page, before a stub agent, in the states worth looking at:
 * `node scripts/page-screenshots.ts OUT_DIRECTORY [name…]`
 */
const SETTLE_MS = 5000;
const LONG = `sensors/${"building-12-north-wing-".repeat(4)}floor-3/room-311/temperature`;

const SCENES: Readonly<Record<string, Partial<StubState>>> = {
  busy: { deadLetters: 2 },
  anomaly: { learning: "anomaly" },
  "fleet-many": { mesh: "many" },
  "fleet-cut": { mesh: "cut" },
  outage: { updates: 10_000, uplink: "waiting", mode: "aggressive", deadLetters: 3 },
  fresh: {
    updates: 0,
    uplink: "none",
    streams: [],
    body: "bare",
    mesh: "off",
    historyMs: 30_000,
    startedAtMs: Date.now() - 34_000,
  },
  broken: {
    failing: "no space left on device. Free space on /var/lib/agent-mesh.",
    scope: "viewer",
  },
  long: { agentId: `agent-${"x7".repeat(30)}`, streams: [LONG, `${LONG}/2`, "a/b"], paused: true },
};

const say = (line: string) => process.stderr.write(`${line}\n`);
const outDirectory = process.argv[2] ?? ".";
const wanted = process.argv.slice(3);
const pageDirectory = await mkdtemp(join(tmpdir(), "agent-mesh-page-"));
await buildPage(pageDirectory, { minify: false });

for (const [width, height] of [
  [1440, 900],
  [360, 780],
] as const) {
  for (const colorScheme of ["light", "dark"] as const) {
    const browser = await launchBrowser({ width, height, colorScheme });
    for (const name of [...Object.keys(SCENES), "signed-out", "lost"]) {
      if (wanted.length > 0 && !wanted.includes(name)) continue;
      if (
        colorScheme === "dark" &&
        wanted.length === 0 &&
        !["busy", "anomaly", "outage", "signed-out"].includes(name)
      )
        continue;
      const stub = await startPageStub({ pageDirectory, state: stubState(SCENES[name]) });
      const page = await browser.context.newPage();
      page.on("console", (message) => say(`${name} ${message.type()} ${message.text()}`));
      page.on("pageerror", (error) => say(`${name} ${error.message}`));
      await page.goto(stub.url);
      if (name !== "signed-out") {
        await page.getByLabel("Access token").fill(STUB_TOKEN);
        await page.getByRole("button", { name: "Sign in" }).click();
        await page.getByRole("heading", { level: 1, name: stub.state.agentId }).waitFor();
        stub.emit("agent.started", { version: "0.1.0" });
        stub.emit("mesh.agent-dead", { peerId: "12D3KooWQwErTyUi", agentId: "pump-house" });
        stub.emit("uplink.up", { name: "fleet" });
        stub.emit("queue.shed", { updates: 3, reason: "quota of 64 MiB used up" });
        stub.emit("uplink.down", {
          name: "fleet",
          reason: "connect ECONNREFUSED 203.0.113.7:8883",
        });
        await page.waitForTimeout(SETTLE_MS);
      }
      if (name === "lost") {
        await stub.stop();
        await page.getByRole("button", { name: "Try now" }).waitFor();
      }
      const path = join(outDirectory, `${name}-${width}-${colorScheme}.png`);
      await page.screenshot({ path, fullPage: true });
      const overflow = await page.evaluate<number>(
        "document.documentElement.scrollWidth - innerWidth",
      );
      say(`${path}, ${overflow} px too wide`);
      await page.close();
      if (name !== "lost") await stub.stop();
    }
    await browser.close();
  }
}
await rm(pageDirectory, { recursive: true, force: true });
