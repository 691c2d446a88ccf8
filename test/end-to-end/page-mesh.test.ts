import { existsSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import mqtt from "mqtt";
import type { Page } from "playwright-core";
import t from "tap";
import { type AgentProcess, until } from "../support/agent-process.ts";
import { CHROMIUM, launchBrowser } from "../support/page-browser.ts";
import {
  addressOf,
  fleetOf,
  neighboursOf,
  openAgentPage,
  startMeshAgent,
} from "../support/page-mesh.ts";

const PATIENCE_MS = 60_000;
const skip = existsSync(CHROMIUM)
  ? false
  : `no browser at ${CHROMIUM}; apt-get install -y chromium, or name one in CHROMIUM_PATH`;

/** Makes the agent tell the fleet that it set a message aside. */
async function makeNews(agent: AgentProcess, topic: string): Promise<void> {
  const url = `mqtt://127.0.0.1:${agent.mqttPort}`;
  const client = await mqtt.connectAsync(url, { protocolVersion: 5 });
  await client.publishAsync(topic, "{not json", { qos: 1 });
  await client.endAsync();
}

function complaintsOf(page: Page): string[] {
  const complaints: string[] = [];
  page.setDefaultTimeout(PATIENCE_MS);
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    const text = message.text();
    if (message.type() === "error" && !text.startsWith("Failed to load")) complaints.push(text);
  });
  return complaints;
}

/** @returns the id under which the browser takes part */
async function joinMesh(page: Page): Promise<string> {
  await page.getByRole("button", { name: "Join from this browser" }).click();
  await page.getByRole("button", { name: "Leave" }).waitFor();
  const text = await page.locator("#visit .facts").innerText();
  const id = /browser-\w+/.exec(text)?.[0];
  if (id === undefined) throw new Error(`no id in ${text}`);
  return id;
}

async function states(agent: AgentProcess): Promise<Record<string, string>> {
  const fleet = await fleetOf(agent);
  return Object.fromEntries(fleet.map(({ agentId, state }) => [agentId, state]));
}

t.test("a browser takes part in the mesh of two agents", { skip }, async (t) => {
  const directory = t.testdir();
  const north = await startMeshAgent(t, join(directory, "north"), "north");
  const south = await startMeshAgent(t, join(directory, "south"), "south", {
    bootstrap: [addressOf(north, /\/tcp\/\d+\/p2p\//)],
  });
  const browser = await launchBrowser({ width: 1440, height: 900, colorScheme: "light" });
  t.teardown(() => browser.close());
  const page = await browser.context.newPage();
  const complaints = complaintsOf(page);
  await openAgentPage(page, north);

  const row = (name: string) => page.locator("#fleet tbody tr", { hasText: name });
  await row("north").getByText("This agent").waitFor();
  await row("south").getByText("Alive").waitFor();
  await page.locator("#mesh").getByText("south").waitFor();
  t.match(await page.locator("#mesh").innerText(), /south[\s\S]*TCP/);

  const requests: string[] = [];
  page.on("request", (request) => requests.push(new URL(request.url()).pathname));
  const id = await joinMesh(page);
  t.ok(requests.includes("/browser-node.js"), "its code is loaded when it is asked for");
  await until("north to list the browser as its neighbour", async () =>
    (await neighboursOf(north)).some((peer) => peer.agentId === id && peer.transport === "ws"),
  );
  await until("south to hear of the browser", async () => (await states(south))[id] === "alive");
  const listed = (await fleetOf(south)).find(({ agentId }) => agentId === id);
  t.strictSame(listed?.capabilities?.features, ["browser"]);
  await row(id).getByText("Browser", { exact: true }).waitFor();

  const traffic = page.locator("#visit .traffic");
  await until("news of south to be shown", async () => {
    await makeNews(south, "sensors/door");
    return (await traffic.innerText()).includes("south");
  });
  await traffic.locator("li", { hasText: "Set aside as dead letter" }).first().waitFor();
  t.match(await traffic.innerText(), /south[\s\S]*Set aside as dead letter[\s\S]*sensors\/door/);

  const other = await browser.context.newPage();
  complaintsOf(other);
  await openAgentPage(other, south);
  const otherId = await joinMesh(other);
  t.not(otherId, id, "each tab is a node of its own");
  await page.locator("#fleet").getByText(otherId).waitFor();
  await until("a note to reach the other browser", async () => {
    await page.getByLabel("Note to everybody who watches").fill("hello from the north");
    await page.getByRole("button", { name: "Send" }).click();
    return (await other.locator("#visit .traffic").innerText()).includes("hello from the north");
  });
  t.match(await other.locator("#visit .traffic").innerText(), new RegExp(`${id}.*\n?.*hello`));

  await other.goto("about:blank");
  await until("a browser that goes elsewhere to have left", async () =>
    ["left", "dead"].includes((await states(north))[otherId] ?? ""),
  );
  t.equal((await states(north))[otherId], "left", "it said good-bye");

  await page.reload();
  await page.getByText("Live", { exact: true }).waitFor();
  t.equal(await joinMesh(page), id, "the same node after a reload");
  await until("it to be back", async () => (await states(south))[id] === "alive");

  await south.kill();
  await row("south").getByText("Dead").waitFor();
  t.match(await page.locator("#fleet tbody tr").first().innerText(), /south/, "trouble first");
  await traffic.locator("li", { hasText: /^south.*Is dead/s }).waitFor();
  await page.locator("#events").getByText("Agent is dead").first().waitFor();

  await page.getByRole("button", { name: "Leave" }).click();
  await page.getByRole("button", { name: "Join from this browser" }).waitFor();
  await until("north to know that it left", async () => (await states(north))[id] === "left");
  t.notOk((await neighboursOf(north)).some((peer) => peer.agentId === id));
  t.strictSame(complaints, []);
});

t.test("where no WebSocket is open, a browser comes in over WebRTC", { skip }, async (t) => {
  const agent = await startMeshAgent(t, join(t.testdir(), "east"), "east", {
    transports: '["tcp","webrtc"]',
  });
  const browser = await launchBrowser({ width: 1440, height: 900, colorScheme: "light" });
  t.teardown(() => browser.close());
  const page = await browser.context.newPage();
  const complaints = complaintsOf(page);
  await openAgentPage(page, agent);
  const id = await joinMesh(page);
  await until("the agent to list it", async () =>
    (await neighboursOf(agent)).some((peer) => peer.agentId === id && peer.transport === "webrtc"),
  );
  await page.locator("#visit .facts").getByText("WebRTC").waitFor();
  await page.getByRole("button", { name: "Leave" }).click();
  await until("it to have left", async () => (await states(agent))[id] === "left");
  t.strictSame(complaints, []);
});

t.test("why a browser can not join is said in words", { skip }, async (t) => {
  const directory = t.testdir();
  const browser = await launchBrowser({ width: 390, height: 844, colorScheme: "dark" });
  t.teardown(() => browser.close());
  const page = await browser.context.newPage();
  complaintsOf(page);

  const closed = await startMeshAgent(t, join(directory, "closed"), "closed", {
    transports: '["tcp"]',
  });
  await openAgentPage(page, closed);
  await page.getByRole("button", { name: "Join from this browser" }).click();
  await page
    .getByRole("alert")
    .filter({ hasText: "Add ws or webrtc to mesh.transports" })
    .waitFor();
  t.equal(await page.evaluate("document.documentElement.scrollWidth"), 390);

  const lone = await startMeshAgent(t, join(directory, "lone"), "lone", {
    sets: ["mesh.enabled=false"],
  });
  await openAgentPage(page, lone);
  await page.getByText("mesh.enabled: true").waitFor();
  t.equal(await page.locator("#fleet, #visit").count(), 0);
});

const ownAddress = Object.values(networkInterfaces())
  .flat()
  .find((one) => one?.family === "IPv4" && !one.internal)?.address;

t.test(
  "a browser joins from another device, over plain HTTP",
  {
    skip: skip || (ownAddress === undefined ? "this machine has no address but loopback" : false),
  },
  async (t) => {
    const agent = await startMeshAgent(t, join(t.testdir(), "west"), "west", {
      sets: ["api.host=0.0.0.0", "mesh.host=0.0.0.0", "mesh.discovery.mdns=false"],
    });
    const browser = await launchBrowser({ width: 1440, height: 900, colorScheme: "light" });
    t.teardown(() => browser.close());
    const page = await browser.context.newPage();
    const complaints = complaintsOf(page);
    await openAgentPage(page, agent, `http://${ownAddress}:${new URL(agent.api).port}`);
    t.equal(
      await page.evaluate("isSecureContext"),
      false,
      "the browser holds its cryptography back",
    );
    const id = await joinMesh(page);
    await until("the agent to list it", async () =>
      (await neighboursOf(agent)).some((peer) => peer.agentId === id),
    );
    t.strictSame(complaints, []);
  },
);
