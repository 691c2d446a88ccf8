import { readFile } from "node:fs/promises";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Body } from "../api/schemas/common.ts";
import type {
  consensus,
  decisions,
  namedPeer,
  proposal,
  proposals,
  proposed,
  verdict,
} from "../api/schemas/consensus.ts";
import { duration, plural, print, printJson, printPairs, printTable } from "./output.ts";
import { parseDuration } from "./parse-duration.ts";
import { RestClient, type RestOptions, withRestOptions } from "./rest-client.ts";

type Consensus = Body<typeof consensus>;
type Proposal = Body<typeof proposal>;

const WAIT_STEP_MS = 300;
const URL_PROPOSALS = "/v1/consensus/proposals";

/** Adds `agent-mesh consensus status|propose|list|show|vote|cancel|decisions|verify|found`. */
export function registerConsensus(program: Command): void {
  const group = program
    .command("consensus")
    .description("what the committee of the fleet agrees on")
    .exitOverride();
  withRestOptions(
    group.command("status").description("the committee, who leads it, and this agent's seat in it"),
  ).action(async (options: RestOptions) => {
    const client = await RestClient.open(options);
    const status = await client.get<Consensus>("/v1/consensus");
    if (options.json === true) printJson(status);
    else printStatus(status);
  });
  addPropose(group);
  addLooks(group);
  addVotes(group);
  addVerify(group);
  withRestOptions(
    group.command("found").description("found a committee in place of one that can decide no more"),
  ).action(async (options: RestOptions) => {
    const client = await RestClient.open(options);
    const status = await client.post<Consensus>("/v1/consensus/committee");
    if (options.json === true) printJson(status);
    else printStatus(status);
  });
}

function addPropose(group: Command): void {
  withRestOptions(
    group
      .command("propose")
      .argument("<topic>", "what it is about, for example maintenance")
      .argument("<value>", "JSON, or plain text")
      .description("put a value before the committee")
      .option("--expires <duration>", "how long members may vote; 1h unless given", parseDuration)
      .option("--wait <duration>", "wait for the decision", parseDuration),
  ).action(
    async (
      topic: string,
      text: string,
      options: RestOptions & { expires?: number; wait?: number },
    ) => {
      const client = await RestClient.open(options);
      const made = await client.post<Body<typeof proposed>>(URL_PROPOSALS, {
        topic,
        value: jsonOf(text),
        ...(options.expires !== undefined && { expiresAfterMs: options.expires }),
      });
      if (options.wait === undefined) {
        if (options.json === true) printJson(made);
        else print(`${made.proposalId} is before the committee`);
        return;
      }
      const ended = await settled(client, made.proposalId, options.wait);
      if (options.json === true) printJson(ended);
      else printProposal(ended);
      if (ended.state !== "accepted") process.exitCode = 1;
    },
  );
}

function addLooks(group: Command): void {
  withRestOptions(group.command("list").description("proposals that members may vote on")).action(
    async (options: RestOptions) => {
      const client = await RestClient.open(options);
      const page = await client.get<Body<typeof proposals>>(`${URL_PROPOSALS}?limit=500`);
      if (options.json === true) return printJson(page);
      const rows = page.items.map((one) => [
        one.proposalId,
        one.topic,
        one.proposer === undefined ? "" : nameOf(one.proposer),
        plural(one.votes?.length ?? 0, "vote"),
        duration(one.expiresInMs ?? 0),
        one.value.data.slice(0, 60),
      ]);
      printTable(["ID", "TOPIC", "BY", "VOTES", "EXPIRES IN", "VALUE"], rows, "nothing is open");
    },
  );
  withRestOptions(
    group
      .command("show")
      .argument("<id>")
      .description("a proposal, and what became of it")
      .option("--wait <duration>", "wait for the decision", parseDuration),
  ).action(async (id: string, options: RestOptions & { wait?: number }) => {
    const client = await RestClient.open(options);
    const found =
      options.wait === undefined
        ? await client.get<Proposal>(`${URL_PROPOSALS}/${id}`)
        : await settled(client, id, options.wait);
    if (options.json === true) printJson(found);
    else printProposal(found);
  });
  withRestOptions(
    group
      .command("decisions")
      .description("what was decided, oldest first")
      .option("--limit <n>", "at most this many, up to 500", "50")
      .option("--cursor <cursor>", "where the previous page ended"),
  ).action(async (options: RestOptions & { limit: string; cursor?: string }) => {
    const client = await RestClient.open(options);
    const query = new URLSearchParams({
      limit: options.limit,
      ...(options.cursor !== undefined && { cursor: options.cursor }),
    });
    const page = await client.get<Body<typeof decisions>>(
      `/v1/consensus/decisions?${query.toString()}`,
    );
    if (options.json === true) return printJson(page);
    const rows = page.items.map((one) => [
      String(one.number ?? ""),
      one.state,
      one.topic,
      one.proposalId,
      one.value.encoding === "utf-8" ? one.value.data.slice(0, 60) : `${one.value.bytes} bytes`,
    ]);
    printTable(["NUMBER", "OUTCOME", "TOPIC", "ID", "VALUE"], rows, "nothing was decided");
    if (page.nextCursor !== undefined) print(`more: --cursor ${page.nextCursor}`);
  });
}

function addVotes(group: Command): void {
  withRestOptions(
    group
      .command("vote")
      .argument("<id>", "of the proposal")
      .argument("<vote>", "accept or reject", voteOf)
      .addOption(new Option("--reason <text>", "why").default(""))
      .description("give this member's vote by hand"),
  ).action(async (id: string, vote: string, options: RestOptions & { reason: string }) => {
    const client = await RestClient.open(options);
    await client.post(`${URL_PROPOSALS}/${id}/votes`, { vote, reason: options.reason });
    if (options.json === true) printJson({ proposalId: id, vote });
    else print(`voted to ${vote} ${id}`);
  });
  withRestOptions(
    group.command("cancel").argument("<id>").description("take back a proposal of this agent"),
  ).action(async (id: string, options: RestOptions) => {
    const client = await RestClient.open(options);
    await client.post(`${URL_PROPOSALS}/${id}/cancel`);
    if (options.json === true) printJson({ proposalId: id, cancelled: true });
    else print(`${id} is cancelled`);
  });
}

function addVerify(group: Command): void {
  withRestOptions(
    group
      .command("verify")
      .argument("<file>", "holds a certificate in base64, as a proposal shows it")
      .description("check that the committee did accept a value"),
  ).action(async (file: string, options: RestOptions) => {
    const client = await RestClient.open(options);
    const certificate = (await readFile(file, "utf8")).trim();
    const found = await client.post<Body<typeof verdict>>("/v1/consensus/verify", { certificate });
    if (options.json === true) printJson(found);
    else if (found.valid)
      print(`valid: decision ${found.number} on ${found.topic}: ${found.value?.data ?? ""}`);
    else print(`proves nothing: ${found.fault ?? "it is none"}`);
    if (!found.valid) process.exitCode = 1;
  });
}

function voteOf(text: string): string {
  if (text !== "accept" && text !== "reject") throw new InvalidArgumentError("accept or reject");
  return text;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Plain text is a value too.
    return text;
  }
}

async function settled(client: RestClient, id: string, waitMs: number): Promise<Proposal> {
  const endMs = performance.now() + waitMs;
  for (;;) {
    const found = await client.get<Proposal>(`${URL_PROPOSALS}/${id}`);
    if (found.state !== "open" || performance.now() >= endMs) return found;
    await new Promise((resume) => {
      setTimeout(resume, WAIT_STEP_MS);
    });
  }
}

function printStatus({ enabled, standing, committee, seat }: Consensus): void {
  if (!enabled) {
    print("this agent takes no part in agreement; set consensus.enabled on it");
    return;
  }
  if (committee === undefined) {
    print("no committee is known; one is founded once enough agents on mains are there");
    return;
  }
  printPairs([
    ["this agent", seat === undefined ? STANDINGS[standing] : seat.standing],
    [
      "committee",
      `${committee.group}, ${committee.protocol}, ${committee.quorum} of ${committee.members.length} decide`,
    ],
    ["epoch", String(committee.epoch)],
    ...(seat === undefined
      ? []
      : ([
          ["leader", seat.leader === undefined ? "nobody" : nameOf(seat.leader)],
          ["term", String(seat.term)],
          ["position", String(seat.position)],
        ] as const)),
  ]);
  print("");
  printTable(
    ["MEMBER", "", "PEER"],
    committee.members.map((member) => [
      `${nameOf(member)}${member.self ? " *" : ""}`,
      member.leads ? "leads" : member.fitness === "fit" ? "" : member.fitness,
      member.peerId,
    ]),
    "nobody is in it",
  );
}

const STANDINGS: Readonly<Record<Consensus["standing"], string>> = {
  none: "knows of no committee",
  follows: "has no seat, and checks what is decided",
  seated: "has a seat",
  lost: "lost what it had promised as a member, and waits to be taken out",
};

function printProposal(found: Proposal): void {
  printPairs([
    ["proposal", found.proposalId],
    ["state", found.number === undefined ? found.state : `${found.state}, ${found.number}`],
    ["topic", found.topic],
    ...(found.proposer === undefined ? [] : ([["by", nameOf(found.proposer)]] as const)),
    ["value", found.value.encoding === "utf-8" ? found.value.data : `${found.value.bytes} bytes`],
    ...(found.votes ?? []).map(
      ({ member, vote, reason }) =>
        ["vote", `${nameOf(member)}: ${vote}${reason === "" ? "" : `, ${reason}`}`] as const,
    ),
    ...(found.reasons ?? []).map((reason) => ["reason", reason] as const),
    ...(found.certificate === undefined ? [] : ([["certificate", found.certificate]] as const)),
  ]);
}

function nameOf({ agentId, peerId }: Body<typeof namedPeer>): string {
  return agentId ?? peerId;
}
