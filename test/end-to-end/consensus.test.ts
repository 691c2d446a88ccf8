// A committee of real agents over libp2p: founded by itself, asked by command line, its leader killed, seen on the page.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import type { ConsensusStatus } from "../../src/consensus/view.ts";
import { AgentProcess, agentMesh, until } from "../support/agent-process.ts";
import { CHROMIUM, launchBrowser } from "../support/page-browser.ts";

const PATIENCE_MS = 90_000;
const screenshots = process.env["PAGE_SCREENSHOTS"];

t.setTimeout(300_000);

async function start(t: Test, name: string, sets: readonly string[] = []): Promise<AgentProcess> {
  const data = mkdtempSync(join(tmpdir(), "consensus-"));
  t.teardown(() => rmSync(data, { recursive: true, force: true }));
  return AgentProcess.start(t, data, settings(name, sets));
}

const settings = (name: string, sets: readonly string[]): readonly string[] => [
  `agent.id=${name}`,
  "mesh.port=0",
  'mesh.transports=["tcp"]',
  // It is mains here, whatever the machine that the test runs on thinks of its heat.
  "power.mode=normal",
  "consensus.enabled=true",
  "consensus.foundAfterMs=1000",
  ...sets,
];

const statusOf = (agent: AgentProcess): Promise<ConsensusStatus> =>
  agent.get<ConsensusStatus>("/v1/consensus");

/** @returns who leads, once all say the same */
function agreement(agents: readonly AgentProcess[], before?: string): Promise<string> {
  return until(
    "all to follow one leader",
    async () => {
      const known = await Promise.all(agents.map(statusOf));
      const leaders = new Set(known.map(({ seat }) => seat?.leader?.agentId));
      const [leader] = leaders;
      return leaders.size === 1 && leader !== before && leader;
    },
    PATIENCE_MS,
  );
}

async function json<T>(agent: AgentProcess, ...words: readonly string[]): Promise<T> {
  const { stdout, stderr } = await agentMesh([...words, "--json", "--data", agent.data]);
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout) as T;
}

t.test("three agents decide; their leader is killed, and they decide on", async (t) => {
  const first = await start(t, "first");
  const { addresses } = await first.get<{ addresses: string[] }>("/v1/mesh");
  const bootstrap = `mesh.bootstrap=["${addresses[0]}"]`;
  const agents = [
    first,
    await start(t, "second", [bootstrap]),
    await start(t, "third", [bootstrap]),
  ];
  const leader = await agreement(agents);
  const names = ["first", "second", "third"];
  const leading = agents[names.indexOf(leader)]!;
  const others = agents.filter((agent) => agent !== leading);
  const [one, two] = others as [AgentProcess, AgentProcess];

  const { proposalId } = await json<{ proposalId: string }>(
    one,
    "consensus",
    "propose",
    "maintenance",
    '{"window":"02:00"}',
  );
  for (const agent of agents) {
    await until("the proposal to be there", async () => {
      const { items } = await agent.get<{ items: { proposalId: string }[] }>(
        "/v1/consensus/proposals",
      );
      const known = await agent.ask(`/v1/consensus/proposals/${proposalId}`);
      return items.some((item) => item.proposalId === proposalId) || known.ok;
    });
    await agentMesh(["consensus", "vote", proposalId, "accept", "--data", agent.data]);
  }
  interface Shown {
    readonly state: string;
    readonly certificate?: string;
  }
  const shown = await until("the certificate", async () => {
    const found = await json<Shown>(two, "consensus", "show", proposalId, "--wait", "10s");
    return found.certificate !== undefined && found;
  });
  t.equal(shown.state, "accepted");
  const file = join(two.data, "certificate");
  writeFileSync(file, shown.certificate ?? "");
  const valid = await agentMesh(["consensus", "verify", file, "--data", one.data]);
  t.match(valid, { code: 0, stdout: /^valid: decision 1 on maintenance: \{"window":"02:00"\}/ });
  writeFileSync(
    file,
    Buffer.from(shown.certificate ?? "", "base64")
      .fill(7, 40, 44)
      .toString("base64"),
  );
  const forged = await agentMesh(["consensus", "verify", file, "--data", one.data]);
  t.match(forged, { code: 1, stdout: /^proves nothing/ });
  const text = await agentMesh(["consensus", "status", "--data", one.data]);
  t.match(text.stdout, new RegExp(`leader +${leader}\n`), text.stderr);
  t.match(text.stdout, /raft, 2 of 3 decide/);
  t.match((await agentMesh(["consensus", "--help"])).stdout, /propose.*\n(.*\n)*.*verify/);

  const page = await openPage(t, one);
  if (page !== undefined) {
    const committee = page.locator("#committee");
    await committee.getByText("raft: 2 of 3 decide").waitFor();
    await committee.locator("li", { hasText: leader }).getByText("Leads").waitFor();
    await shoot(page, "committee");
  }

  await leading.kill();
  const killedAtMs = performance.now();
  const next = await agreement(others, leader);
  t.comment(`another leader after ${Math.round(performance.now() - killedAtMs)} ms`);
  if (page !== undefined) {
    const committee = page.locator("#committee");
    await committee.locator("li", { hasText: next }).getByText("Leads").waitFor();
    await committee.locator("li", { hasText: leader }).getByText("Gone").waitFor();
    await page.locator("#events").getByText("Leader of the committee changed").first().waitFor();
    await shoot(page, "committee-leader-killed");
  }
  const later = await json<{ proposalId: string }>(
    one,
    "consensus",
    "propose",
    "maintenance",
    "later",
  );
  for (const agent of others)
    await until("the vote to be taken", async () => {
      const voted = await agentMesh([
        "consensus",
        "vote",
        later.proposalId,
        "accept",
        "--data",
        agent.data,
      ]);
      const known = await agent.ask(`/v1/consensus/proposals/${later.proposalId}`);
      return voted.code === 0 || (known.ok && ((await known.json()) as Shown).state === "accepted");
    });
  const ended = await json<Shown>(two, "consensus", "show", later.proposalId, "--wait", "20s");
  t.equal(ended.state, "accepted");
  t.match(await (await one.ask("/metrics")).text(), /agent_mesh_consensus_members 3\n/);

  const again = await AgentProcess.start(
    t,
    leading.data,
    settings(leader, [bootstrapOf(one, bootstrap)]),
  );
  await until(
    "it to have its seat, and what was decided",
    async () => {
      const found = await again.ask(`/v1/consensus/proposals/${later.proposalId}`);
      return (await statusOf(again)).standing === "seated" && found.ok;
    },
    PATIENCE_MS,
  );
});

/** Where the first is the one that comes back, it knows the others from before. */
function bootstrapOf(agent: AgentProcess, bootstrap: string): string {
  const run = JSON.parse(readFileSync(join(agent.data, "run.json"), "utf8")) as {
    mesh: { addresses: string[] };
  };
  const [address] = run.mesh.addresses;
  return address === undefined ? bootstrap : `mesh.bootstrap=["${address}"]`;
}

async function openPage(t: Test, agent: AgentProcess) {
  if (!existsSync(CHROMIUM)) {
    t.comment(`no browser at ${CHROMIUM}: what the page shows was not looked at`);
    t.equal(process.env["CI"], undefined, "CI has a browser");
    return undefined;
  }
  const browser = await launchBrowser({ width: 1_280, height: 1_600, colorScheme: "light" });
  t.teardown(() => browser.close());
  const page = await browser.context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  await page.goto(agent.api);
  const token = readFileSync(join(agent.data, "admin.token"), "utf8").trim();
  await page.getByLabel("Access token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("Live", { exact: true }).waitFor();
  return page;
}

async function shoot(
  page: NonNullable<Awaited<ReturnType<typeof openPage>>>,
  name: string,
): Promise<void> {
  if (screenshots !== undefined)
    await page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true });
}
