import { existsSync } from "node:fs";
import type { Page } from "playwright-core";
import t, { type Test } from "tap";
import { buildPage } from "../../scripts/build-page.ts";
import { type Browser, CHROMIUM, launchBrowser } from "../support/page-browser.ts";
import { type PageStub, STUB_TOKEN, startPageStub } from "../support/page-stub.ts";
import { type StubState, stubState } from "../support/page-stub-data.ts";

const PATIENCE_MS = 30_000;

const skip = existsSync(CHROMIUM)
  ? false
  : `no browser at ${CHROMIUM}; apt-get install -y chromium, or name one in CHROMIUM_PATH`;

/** What the browser itself prints about an answer that is an error; the page has shown it to the user. */
const BROWSER_NOTE = /^Failed to load resource/;

interface Opened {
  readonly page: Page;
  readonly stub: PageStub;
  /** Errors and warnings in the browser's console. */
  readonly complaints: string[];
}

type Open = (t: Test, changes?: Partial<StubState>) => Promise<Opened>;

async function open(
  t: Test,
  browser: Browser,
  pageDirectory: string,
  changes: Partial<StubState>,
): Promise<Opened> {
  const stub = await startPageStub({
    pageDirectory,
    state: stubState(changes),
    sampleEveryMs: 300,
  });
  const page = await browser.context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const complaints: string[] = [];
  page.on("console", (message) => {
    const noise = message.type() !== "error" && message.type() !== "warning";
    if (!noise && !BROWSER_NOTE.test(message.text())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  t.teardown(async () => {
    await page.close();
    await stub.stop();
  });
  await page.goto(stub.url);
  return { page, stub, complaints };
}

async function signIn(page: Page, token = STUB_TOKEN): Promise<void> {
  await page.getByLabel("Access token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** Resolves once the element's text differs from what it was. */
async function changes(page: Page, selector: string): Promise<void> {
  const element = page.locator(selector).first();
  const before = await element.innerText();
  const deadline = Date.now() + PATIENCE_MS;
  while ((await element.innerText()) === before) {
    if (Date.now() > deadline) throw new Error(`${selector} still says ${before}`);
    await page.waitForTimeout(100);
  }
}

t.test("the page in Chromium", { skip }, async (t) => {
  const pageDirectory = t.testdir();
  await buildPage(pageDirectory, { minify: true });
  const browser = await launchBrowser({ width: 1440, height: 900, colorScheme: "light" });
  t.teardown(() => browser.close());
  const openPage: Open = (t, changes = {}) => open(t, browser, pageDirectory, changes);

  t.test(
    "a manager signs in, sees the device live, and pauses and resumes the queue",
    async (t) => {
      const { page, stub, complaints } = await openPage(t, { deadLetters: 1 });

      await signIn(page, "am_… see below");
      await page.getByRole("alert").filter({ hasText: "This is not a token" }).waitFor();
      await signIn(page, "am_wrong_token");
      await page.getByRole("alert").filter({ hasText: "not known to the agent" }).waitFor();
      await signIn(page);

      await page.getByRole("heading", { level: 1, name: "greenhouse-07" }).waitFor();
      await page.getByRole("region", { name: "Health" }).getByText("Healthy").waitFor();
      await page.getByRole("banner").getByText("Raspberry Pi 4 Model B Rev 1.4").waitFor();
      t.equal(await page.locator(".plot canvas").count(), 6, "six plots are drawn");
      await changes(page, "#resources .plot-cell .amount");
      await changes(page, "#readings .value");
      await page.locator("#readings .spark").first().waitFor();
      t.match(await page.locator("#queue").innerText(), /12 updates wait/);
      t.match(await page.locator("#resources .absent-list").innerText(), /GPU\s+no devfreq GPU/);

      stub.emit("uplink.down", { name: "fleet", reason: "connect ECONNREFUSED" });
      await page.locator("#events").getByText("connect ECONNREFUSED").waitFor();

      await page.getByRole("button", { name: "Pause" }).click();
      await page.getByRole("status").filter({ hasText: "The queue is paused" }).first().waitFor();
      await page.getByRole("button", { name: "Resume" }).click();
      await page.getByRole("button", { name: "Pause" }).waitFor();
      await page.getByRole("button", { name: "Flush now" }).click();
      await page.getByText("Everything that waits is being sent now.").waitFor();
      await page.getByRole("button", { name: "Delete sensors/gate-1/json" }).click();
      await page.getByRole("button", { name: "Delete sensors/gate-1/json for good" }).click();
      await page.locator("#dead-letters").waitFor({ state: "detached" });
      t.same(stub.deeds, [
        "POST /v1/queue/pause",
        "POST /v1/queue/resume",
        "POST /v1/queue/flush",
        "DELETE /v1/queue/dead-letters/dl-1",
      ]);

      await page.reload();
      await page.getByRole("heading", { level: 1, name: "greenhouse-07" }).waitFor();
      await page.getByRole("button", { name: "Sign out" }).click();
      await page.getByLabel("Access token").waitFor();
      t.equal(await page.evaluate("sessionStorage.length + localStorage.length"), 0);
      t.same(complaints, []);
    },
  );

  t.test("the page says when the agent is gone, and comes back by itself", async (t) => {
    const { page, stub, complaints } = await openPage(t);
    await signIn(page);
    await page.getByText("Live", { exact: true }).waitFor();

    await stub.stop();
    await page.getByRole("alert").filter({ hasText: "The agent does not answer" }).waitFor();
    await page.getByRole("region", { name: "Health" }).getByText("Unknown").waitFor();
    await page.locator("main.stale").waitFor();
    t.match(await page.locator("#queue").innerText(), /12 updates wait/, "what was known stays");

    const again = await startPageStub({
      pageDirectory,
      port: stub.port,
      state: stubState({ updates: 3, startedAtMs: Date.now() }),
      sampleEveryMs: 300,
    });
    t.teardown(() => again.stop());
    await page.getByText("Live", { exact: true }).waitFor();
    await page.getByText("3 updates wait").waitFor();
    t.equal(await page.locator("main.stale").count(), 0);
    again.emit("power.mode-changed", { from: "normal", to: "saving" });
    await page.locator("#events").getByText("Power mode changed").waitFor();
    t.same(complaints, []);
  });

  t.test("a viewer may look, and is told what else it would take", async (t) => {
    const { page } = await openPage(t, { scope: "viewer", failing: "disk full. Free some space." });
    await signIn(page);
    await page.getByRole("region", { name: "Health" }).getByText("Not ready").waitFor();
    await page.getByText("store: disk full. Free some space.").waitFor();
    await page.getByText("An operator token may pause and flush").waitFor();
    t.ok(await page.getByRole("button", { name: "Pause" }).isDisabled());
  });

  t.test("on a phone nothing is cut off, on a fresh agent and on a full one", async (t) => {
    const stream = `sensors/${"building-12-north-wing-".repeat(6)}/temperature`;
    const scenes: Partial<StubState>[] = [
      { streams: [], uplink: "none", updates: 0, body: "bare", historyMs: 5000 },
      {
        streams: [stream],
        uplink: "waiting",
        updates: 10_000,
        deadLetters: 9,
        agentId: "x".repeat(64),
        learning: "anomaly",
      },
    ];
    for (const scene of scenes) {
      const { page, complaints } = await openPage(t, scene);
      await page.setViewportSize({ width: 360, height: 780 });
      t.equal(await page.evaluate("document.documentElement.scrollWidth"), 360, "signed out");
      await signIn(page);
      await page.locator("#events").waitFor();
      await page.locator(".plot canvas").first().waitFor();
      t.equal(await page.evaluate("document.documentElement.scrollWidth"), 360, "signed in");
      t.same(complaints, []);
    }
  });

  t.test(
    "what is absent is said to be absent, and a fresh agent tells the next step",
    async (t) => {
      const { page } = await openPage(t, { streams: [], uplink: "none", updates: 0, body: "bare" });
      await signIn(page);
      const battery = page.locator(".plot-cell.absent", { hasText: "Battery" });
      await battery.getByText("no power supply of type Battery").waitFor();
      t.notMatch(await battery.innerText(), /\b0\s*%/);
      await page.getByText("No uplink is configured.").waitFor();
      await page.getByText("mosquitto_pub -h 127.0.0.1 -p 1883").waitFor();
    },
  );

  t.test("of the fleet those in trouble stand first, and others are searched for", async (t) => {
    const { page, stub, complaints } = await openPage(t, { mesh: "many" });
    await signIn(page);
    await page.locator("#fleet").getByText("137 alive, 1 suspect, 2 dead").waitFor();
    const rows = page.locator("#fleet tbody tr");
    t.equal(await rows.count(), 25);
    t.match(await rows.nth(0).innerText(), /node-004\s[\s\S]*Dead/);
    t.match(await rows.nth(2).innerText(), /node-002\s[\s\S]*Suspect/);
    await page.locator("#fleet").getByRole("button", { name: "Show more" }).click();
    t.equal(await rows.count(), 50);
    await page.getByLabel("Search agents").fill("node-138");
    await page.locator("#fleet tbody").getByText("node-138").waitFor();
    t.equal(await rows.count(), 1, "found beyond the agents that are shown");
    await page.getByLabel("Search agents").fill("nobody");
    await page.getByText("No agent matches.").waitFor();
    t.match(await page.locator("#mesh").innerText(), /node-002[\s\S]*QUIC, dialled by us/);

    stub.emit("mesh.agent-dead", { peerId: "12D3KooWx", agentId: "pump-house" });
    const event = page.locator("#events li", { hasText: "Agent is dead" });
    t.match(await event.innerText(), /pump-house/);
    t.same(complaints, []);
  });

  t.test("who leads is shown, and who does when the leader is gone", async (t) => {
    const { page, stub, complaints } = await openPage(t);
    await signIn(page);
    const panel = page.locator("#roles");
    await panel.getByText("Term 7").waitFor();
    const words = /Coordinator\s+gateway-east\s+for 1\sh 30\smin, last changed when somebody/;
    t.match(await panel.innerText(), words);
    t.match(
      await panel.innerText(),
      /Aggregators\s+None\s+This agent: worker; in learning trainer/,
    );
    stub.state.mesh = "cut";
    await panel.getByText(/^Nobody leads\./).waitFor();
    t.equal(await panel.locator("dl").count(), 0);
    t.same(complaints, []);
  });

  t.test("what is learned is followed, paused and ended; an anomaly stands out", async (t) => {
    const { page, stub, complaints } = await openPage(t);
    await signIn(page);
    const panel = page.locator("#learning");
    const own = panel.locator("article", { hasText: "soil-anomaly" });
    await own.getByText(/^Round 1\d of 40, started by this agent$/).waitFor();
    t.match(await own.innerText(), /trains for round 1\d, step 90 of 150/);
    t.match(await own.innerText(), /6 updates, put together by gateway-east in 1\smin 4\ss/);
    t.match(await own.innerText(), /0\.312, within the 0\.96 that is normal/);
    const curve = /^soil-anomaly: Loss by round: 0\.94 in round 1, 0\.\d+ in round 1\d/;
    t.match(await own.getByRole("img").getAttribute("aria-label"), curve);
    const others = panel.locator("article", { hasText: "pump-digits" });
    t.match(await others.innerText(), /started by gateway-east[\s\S]*has no samples for it yet/);
    t.equal(await others.getByRole("button").count(), 0, "only its author's agent is obeyed");

    stub.state.learning = "anomaly";
    stub.emit("learning.alert", { task: "0a".repeat(16), name: "soil-anomaly", state: "raised" });
    await own.getByText("Anomaly now").waitFor();
    await own.getByText(/^3\.1, above the 0\.96 that is normal/).waitFor();
    const newest = panel.getByLabel("Anomalies, newest first").locator("li").first();
    t.match(await newest.innerText(), /Anomaly: soil-anomaly\s+score 3\.12, normal up to 0\.96/);
    await page.locator("#events").getByText("Anomaly", { exact: true }).waitFor();

    await own.getByRole("button", { name: "Let it rest" }).click();
    await own.getByText("Paused").waitFor();
    await own.getByRole("button", { name: "Go on" }).click();
    await own.getByText("Running").waitFor();
    await own.getByRole("button", { name: "End soil-anomaly" }).click();
    await own.getByRole("button", { name: "End soil-anomaly for good" }).click();
    await own.getByText("Ended").waitFor();
    t.equal(await own.getByRole("button").count(), 0);
    t.same(
      stub.deeds.map((deed) => deed.split("/").at(-1)),
      ["pause", "resume", "stop"],
    );
    t.same(complaints, []);
  });

  t.test(
    "an agent without a task says how to begin, one that does not learn says nothing",
    async (t) => {
      const { page, stub } = await openPage(t, { learning: "none" });
      await signIn(page);
      await page.locator("#learning").getByText("agent-mesh learn start").waitFor();
      stub.state.learning = "off";
      await page.locator("#learning").waitFor({ state: "detached" });
    },
  );

  t.test("an agent cut off says so, and one without a mesh how to get one", async (t) => {
    const cut = await openPage(t, { mesh: "cut" });
    await signIn(cut.page);
    const panel = cut.page.locator("#mesh");
    await panel.getByText(/^86\s% of the agents that were here lately cannot be reached/).waitFor();
    t.match(
      await panel.innerText(),
      /hub\.fleet\.example\/tcp\/4001 did not answer in 14 attempts: connect ETIMEDOUT/,
    );
    await cut.page.getByRole("button", { name: "Join from this browser" }).click();
    await cut.page.getByRole("alert").filter({ hasText: "Add ws or webrtc" }).waitFor();

    const off = await openPage(t, { mesh: "off" });
    await signIn(off.page);
    await off.page.locator("#mesh").getByText("mesh.enabled: true").waitFor();
    t.equal(await off.page.locator("#fleet, #visit, #roles").count(), 0);
  });

  t.test("everything has a name, a place, and can be reached by keyboard", async (t) => {
    const { page } = await openPage(t, { deadLetters: 1 });
    await signIn(page);
    await page.locator("#dead-letters .letter").waitFor();
    const nameless = await page.evaluate(`
    [...document.querySelectorAll("button, input, a[href], [role=img], [role=meter]")]
      .filter((one) => !(one.getAttribute("aria-label") || one.innerText || one.labels?.length))
      .map((one) => one.outerHTML)`);
    t.same(nameless, [], "every control and picture has a name");
    const levels = await page.evaluate<number[]>(
      `[...document.querySelectorAll("h1, h2, h3")].map((one) => Number(one.tagName[1]))`,
    );
    t.equal(levels.filter((level) => level === 1).length, 1, "one title");
    t.ok(
      levels.every((level, index) => level - (levels[index - 1] ?? 0) <= 1),
      "no heading level is skipped",
    );
    for (const landmark of ["banner", "main"] as const) {
      t.equal(await page.getByRole(landmark).count(), 1, landmark);
    }
    t.equal(await page.evaluate("document.documentElement.lang"), "en");

    await page.evaluate("document.activeElement?.blur()");
    const reached: string[] = [];
    for (let press = 0; press < 12; press += 1) {
      await page.keyboard.press("Tab");
      const text = await page.evaluate("document.activeElement?.innerText ?? ''");
      reached.push(String(text).trim().slice(0, 30));
    }
    for (const name of ["Skip to the figures", "Sign out", "Pause", "Flush now"]) {
      t.ok(reached.includes(name), `${name} is reached by Tab: ${reached.join(" | ")}`);
    }
  });
});
