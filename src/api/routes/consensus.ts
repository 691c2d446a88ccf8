import * as Type from "typebox";
import { AgreementError } from "../../consensus/ordering/waiting.ts";
import type { DecisionView, ProposalView } from "../../consensus/view.ts";
import { NetworkError, Refused } from "../../platform/network.ts";
import { showBytes } from "../bytes.ts";
import { decodeCursor, encodeCursor, listQuery, pageOf, plainListQuery } from "../cursor.ts";
import { ApiProblem } from "../problem.ts";
import { alreadySent, type Router } from "../route.ts";
import type { Body } from "../schemas/common.ts";
import {
  consensus,
  decisions,
  type proposal,
  proposalRequest,
  proposal as proposalSchema,
  proposals,
  proposed,
  verdict,
  verifyRequest,
  voteRequest,
} from "../schemas/consensus.ts";

const VALUE_BYTES_MAX = 61_440;
const PROPOSALS_URL = "/v1/consensus/proposals";

const proposalPath = Type.Object({
  proposalId: Type.String({ pattern: "^[0-9a-f]{32}$", description: "As POST answered it." }),
});

/** What the committee of the fleet agrees on. */
export function addConsensus({ add, context }: Router): void {
  const { consensus: view } = context;

  add({
    method: "GET",
    url: "/v1/consensus",
    operationId: "getConsensus",
    tag: "consensus",
    summary: "The committee of the fleet, and this agent's seat in it",
    scope: "viewer",
    success: { status: 200, description: "As this agent knows it.", schema: consensus },
    handler: () => view.status(),
  });

  add({
    method: "POST",
    url: "/v1/consensus/committee",
    operationId: "foundCommittee",
    tag: "consensus",
    summary: "Found a committee in place of one that can decide no more",
    description:
      "A committee is founded by itself where none is known, and replaces single members by itself. This is for when most of its members are gone for good. To be asked of the coordinator.",
    scope: "admin",
    success: { status: 200, description: "It is founded.", schema: consensus },
    problems: ["consensus.off", "consensus.refused"],
    async handler() {
      await attempt(() => view.found());
      return view.status();
    },
  });

  add({
    method: "GET",
    url: PROPOSALS_URL,
    operationId: "listProposals",
    tag: "consensus",
    summary: "Values that members may vote on",
    description: "Agents without a seat know of none.",
    scope: "viewer",
    query: plainListQuery,
    success: { status: 200, description: "Longest open first.", schema: proposals },
    problems: ["request.cursor"],
    handler: ({ query }) =>
      pageOf(context.tokens.seal, "proposals", view.proposals().map(openBody), query),
  });

  add({
    method: "POST",
    url: PROPOSALS_URL,
    operationId: "propose",
    tag: "consensus",
    summary: "Put a value before the committee",
    description: "An agent without a seat hands it to a member.",
    scope: "operator",
    body: proposalRequest,
    success: {
      status: 202,
      description: "It has its place in the committee's order; members vote on it now.",
      schema: proposed,
      headers: { Location: "Where it is seen what becomes of it." },
    },
    problems: ["consensus.off", "consensus.no-committee", "consensus.busy", "consensus.timeout"],
    async handler({ body }, reply) {
      const value = new TextEncoder().encode(JSON.stringify(body.value));
      if (value.length > VALUE_BYTES_MAX)
        throw new ApiProblem(
          "request.invalid",
          `body.value has ${value.length} bytes as JSON; ${VALUE_BYTES_MAX} at most are taken`,
        );
      // Validation has filled in the default.
      const { topic, expiresAfterMs = 0 } = body;
      const made = await attempt(() => view.propose(value, topic, expiresAfterMs));
      reply.code(202).header("location", `${PROPOSALS_URL}/${made.proposalId}`).send(made);
      return alreadySent;
    },
  });

  add({
    method: "GET",
    url: `${PROPOSALS_URL}/:proposalId`,
    operationId: "getProposal",
    tag: "consensus",
    summary: "A proposal, and what became of it",
    description:
      "An agent without a seat asks the members for accepted ones, and checks what they say by itself.",
    scope: "viewer",
    path: proposalPath,
    success: { status: 200, description: "The proposal.", schema: proposalSchema },
    problems: ["consensus.not-found"],
    async handler({ params: { proposalId } }) {
      const open = view.proposal(proposalId);
      if (open !== undefined) return openBody(open);
      const decision = await view.decision(proposalId);
      if (decision === undefined) throw new ApiProblem("consensus.not-found");
      return decisionBody(decision);
    },
  });

  add({
    method: "POST",
    url: `${PROPOSALS_URL}/:proposalId/votes`,
    operationId: "voteOnProposal",
    tag: "consensus",
    summary: "Give this member's vote by hand",
    description: "For topics that members do not judge by themselves. A vote can not be changed.",
    scope: "operator",
    path: proposalPath,
    body: voteRequest,
    success: { status: 204, description: "The vote has its place in the order." },
    problems: ["consensus.off", "consensus.no-committee", "consensus.refused", "consensus.timeout"],
    async handler({ params: { proposalId }, body: { vote, reason = "" } }) {
      await attempt(() => view.vote(proposalId, vote, reason));
    },
  });

  add({
    method: "POST",
    url: `${PROPOSALS_URL}/:proposalId/cancel`,
    operationId: "cancelProposal",
    tag: "consensus",
    summary: "Take a proposal back",
    description: "Only the agent that made it can, as long as it is open.",
    scope: "operator",
    path: proposalPath,
    success: { status: 204, description: "It is cancelled." },
    problems: ["consensus.off", "consensus.no-committee", "consensus.refused", "consensus.timeout"],
    async handler({ params: { proposalId } }) {
      await attempt(() => view.cancel(proposalId));
    },
  });

  add({
    method: "GET",
    url: "/v1/consensus/decisions",
    operationId: "listDecisions",
    tag: "consensus",
    summary: "What was decided, in the committee's order",
    description: "The newest thousand are kept. Agents without a seat have none.",
    scope: "viewer",
    query: listQuery({}),
    success: { status: 200, description: "Oldest first.", schema: decisions },
    problems: ["request.cursor"],
    handler({ query }) {
      const { seal } = context.tokens;
      const after = decodeCursor(seal, "decisions", "", query.cursor, "number") ?? 0;
      const found = view.decisions(after, query.limit);
      const last = found.at(-1);
      return {
        items: found.map(decisionBody),
        ...(last !== undefined &&
          found.length === query.limit && {
            nextCursor: encodeCursor(seal, "decisions", "", last.number),
          }),
      };
    },
  });

  add({
    method: "POST",
    url: "/v1/consensus/verify",
    operationId: "verifyCertificate",
    tag: "consensus",
    summary: "Check a certificate with nothing but what this agent knows of the committee",
    scope: "viewer",
    body: verifyRequest,
    success: { status: 200, description: "What it is worth.", schema: verdict },
    handler({ body }) {
      const { value, ...rest } = view.verify(Buffer.from(body.certificate, "base64"));
      return { ...rest, ...(value !== undefined && { value: showBytes(value) }) };
    },
  });
}

function openBody({ value, votes, ...rest }: ProposalView): Body<typeof proposal> {
  return {
    ...rest,
    value: showBytes(value),
    state: "open",
    votes: votes.map(({ member, choice, reason }) => ({ member, vote: choice, reason })),
  };
}

function decisionBody({
  value,
  outcome,
  certificate,
  ...rest
}: DecisionView): Body<typeof proposal> {
  return {
    ...rest,
    value: showBytes(value),
    state: outcome,
    ...(certificate !== undefined && {
      certificate: Buffer.from(certificate).toString("base64"),
    }),
  };
}

/** @throws ApiProblem for what agreement and the mesh say no to */
async function attempt<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof AgreementError) throw problemOf(error);
    if (error instanceof Refused) throw new ApiProblem("consensus.refused", error.message);
    if (error instanceof NetworkError)
      throw error.refusal === undefined
        ? new ApiProblem("consensus.timeout", `No member answered: ${error.message}`)
        : new ApiProblem("consensus.refused", `A member said no: ${error.refusal}`);
    if (error instanceof RangeError) throw new ApiProblem("request.invalid", error.message);
    throw error;
  }
}

function problemOf({ code, message }: AgreementError): ApiProblem {
  switch (code) {
    case "consensus.timeout":
    case "consensus.cancelled":
    case "consensus.stopped":
      return new ApiProblem("consensus.timeout", message);
    case "consensus.busy":
      return new ApiProblem("consensus.busy", message);
    case "consensus.unready":
      return new ApiProblem("consensus.no-committee", message);
    case "consensus.refused":
      return new ApiProblem("consensus.refused", message);
    default:
      return code satisfies never;
  }
}
