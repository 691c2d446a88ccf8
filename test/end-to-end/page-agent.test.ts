import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import mqtt from "mqtt";
import t from "tap";
import { CHROMIUM, launchBrowser } from "../support/page-browser.ts";

const PATIENCE_MS = 60_000;
const COMMAND = join(import.meta.dirname, "../../bin/agent-mesh");
const skip = existsSync(CHROMIUM)
  ? false
  : `no browser at ${CHROMIUM}; apt-get install -y chromium, or name one in CHROMIUM_PATH`;

interface Running {
  readonly process: ChildProcess;
  readonly apiUrl: string;
  readonly mqttUrl: string;
}

/** Starts the built agent and waits until it answers. */
async function startAgent(directory: string, apiPort: number): Promise<Running> {
  const child = spawn(
    COMMAND,
    ["run", "--data", directory, "--set", `api.port=${apiPort}`, "--set", "mqtt.broker.port=0"],
    { stdio: "ignore" },
  );
  const deadline = Date.now() + PATIENCE_MS;
  while (Date.now() < deadline && child.exitCode === null) {
    try {
      const run = JSON.parse(readFileSync(join(directory, "run.json"), "utf8"));
      if (run.pid === child.pid && (await fetch(`${run.api.url}/readyz`)).ok) {
        return { process: child, apiUrl: run.api.url, mqttUrl: run.mqtt.url };
      }
    } catch {
      // Not there yet.
    }
    await delay(50);
  }
  child.kill("SIGKILL");
  throw new Error("the agent did not become ready");
}

async function end(running: Running, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  if (running.process.exitCode !== null || running.process.signalCode !== null) return;
  const gone = once(running.process, "exit");
  running.process.kill(signal);
  await gone;
}

async function publish(running: Running, topic: string, payload: string): Promise<void> {
  const client = await mqtt.connectAsync(running.mqttUrl, { protocolVersion: 5 });
  await client.publishAsync(topic, payload, { qos: 1 });
  await client.endAsync();
}

t.test("the page of a real agent, through a kill -9", { skip }, async (t) => {
  const directory = t.testdir();
  let agent = await startAgent(directory, 0);
  t.teardown(() => end(agent, "SIGTERM"));
  const browser = await launchBrowser({ width: 390, height: 844, colorScheme: "dark" });
  t.teardown(() => browser.close());
  const page = await browser.context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    const text = message.text();
    if (message.type() === "error" && !text.startsWith("Failed to load")) complaints.push(text);
  });

  await page.goto(agent.apiUrl);
  await page.getByLabel("Access token").fill("am_not_a_token");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").waitFor();
  const token = readFileSync(join(directory, "admin.token"), "utf8").trim();
  await page.getByLabel("Access token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("Live", { exact: true }).waitFor();
  await page.getByText("No uplink is configured.").waitFor();
  await page.locator("#events").getByText("Agent started").waitFor();
  await page.locator(".plot canvas").first().waitFor();

  await publish(agent, "sensors/room/temp", "21.5");
  const row = page.locator("#readings tr", { hasText: "sensors/room/temp" });
  await row.getByText("21.5").waitFor();
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("button", { name: "Resume" }).waitFor();
  t.equal(await page.evaluate("document.documentElement.scrollWidth"), 390);

  const port = Number(new URL(agent.apiUrl).port);
  await end(agent, "SIGKILL");
  await page.getByRole("alert").filter({ hasText: "The agent does not answer" }).waitFor();
  agent = await startAgent(directory, port);
  await page.getByText("Live", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Resume" }).waitFor();
  await publish(agent, "sensors/room/temp", "22.5");
  await row.getByText("22.5").waitFor();
  t.same(complaints, []);
});
