import type { Command } from "commander";
import type { Body } from "../api/schemas/common.ts";
import type { roleHolder, roles } from "../api/schemas/roles.ts";
import { duration, print, printJson, printPairs, printTable } from "./output.ts";
import { RestClient, type RestOptions, withRestOptions } from "./rest-client.ts";

type Roles = Body<typeof roles>;

const REASONS: Readonly<Record<NonNullable<Roles["assignment"]>["reason"], string>> = {
  vacant: "nobody led",
  better: "more suitable than the one before",
  members: "agents came or went",
  rebalanced: "others were more suitable",
};

/** Adds `agent-mesh roles`: who leads, checks, aggregates and trains. */
export function registerRoles(program: Command): void {
  withRestOptions(
    program
      .command("roles")
      .description("who has which role in the fleet, as the running agent knows it"),
  ).action(async (options: RestOptions) => {
    const client = await RestClient.open(options);
    const status = await client.get<Roles>("/v1/roles");
    if (options.json === true) printJson(status);
    else printRoles(status);
  });
}

function printRoles({ enabled, self, assignment, candidates }: Roles): void {
  if (!enabled) {
    print("this agent takes no part in roles; they need a mesh, and coordination.roles.enabled");
    return;
  }
  if (self !== undefined)
    printPairs([
      // A validator of the committee is one in learning too.
      ["this agent", [...new Set([self.coordination, ...self.learning])].join(", ")],
      ["suitability", `${self.score}, ${STANDINGS[self.standing]}`],
    ]);
  if (assignment === undefined) print("nobody leads: no agent may, or none has said so yet");
  else printAssignment(assignment);
  print("");
  const headings = ["AGENT", "SCORE", "STANDING", "COORDINATION", "LEARNING"];
  const rows = candidates.map((agent) => [
    agent.self ? `${agent.agentId} *` : agent.agentId,
    String(agent.score),
    agent.standing,
    agent.coordination,
    agent.learning.join(" "),
  ]);
  printTable(headings, rows, "no agent takes part");
}

const STANDINGS: Readonly<Record<NonNullable<Roles["self"]>["standing"], string>> = {
  quorum: "on mains: may have any role",
  reserve: "on battery: aggregator where nobody is on mains",
  none: "worker only",
};

function printAssignment(assignment: NonNullable<Roles["assignment"]>): void {
  const { term, coordinator, caretaker, validators, aggregators, reason } = assignment;
  printPairs([
    coordinator === undefined
      ? [
          "caretaker",
          `${caretaker === undefined ? "" : nameOf(caretaker)}; nobody on mains: no quorum`,
        ]
      : ["coordinator", nameOf(coordinator)],
    ["validators", validators.map(nameOf).join(", ") || "none"],
    ["aggregators", aggregators.map(nameOf).join(", ") || "none"],
    ["term", `${term}, since ${REASONS[reason]}`],
    [
      "in force",
      `for ${duration(assignment.ledForMs)}, renewed ${duration(assignment.renewedMsAgo)} ago`,
    ],
  ]);
}

function nameOf({ agentId, peerId }: Body<typeof roleHolder>): string {
  return agentId ?? peerId;
}
