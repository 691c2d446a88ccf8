import * as Type from "typebox";
import { NetworkError } from "../../platform/network.ts";
import { listQuery, pageOf, plainListQuery } from "../cursor.ts";
import { ApiProblem } from "../problem.ts";
import { alreadySent, type Router } from "../route.ts";
import { named } from "../schemas/common.ts";
import { fleetAgents, fleetSurvey, joined, joinRequest, mesh, meshPeers } from "../schemas/mesh.ts";

/** For a survey to end before the client is told to come back. */
const SURVEY_WAIT_MS = 2_000;
const SURVEY_URL = "/v1/fleet/survey";

const peerPath = Type.Object({
  peerId: Type.String({ minLength: 1, maxLength: 128, description: "Peer id." }),
});

/** The neighbours. */
export function addMesh({ add, context }: Router): void {
  add({
    method: "GET",
    url: "/v1/mesh",
    operationId: "getMesh",
    tag: "mesh",
    summary: "How this node of the mesh is",
    scope: "viewer",
    success: { status: 200, description: "The node.", schema: mesh },
    handler: () => context.mesh.status(),
  });

  add({
    method: "GET",
    url: "/v1/mesh/peers",
    operationId: "listMeshPeers",
    tag: "mesh",
    summary: "The nodes that are linked now",
    scope: "viewer",
    query: plainListQuery,
    success: {
      status: 200,
      description: "The neighbours, longest linked first.",
      schema: meshPeers,
    },
    problems: ["request.cursor"],
    handler: ({ query }) => pageOf(context.tokens.seal, "mesh-peers", context.mesh.peers(), query),
  });

  add({
    method: "POST",
    url: "/v1/mesh/peers",
    operationId: "joinMesh",
    tag: "mesh",
    summary: "Link to nodes at these addresses",
    description: "Addresses that do not answer are tried again, until the agent stops.",
    scope: "operator",
    body: joinRequest,
    success: { status: 200, description: "At least one answered.", schema: joined },
    problems: ["mesh.off", "mesh.unreachable"],
    async handler({ body }) {
      if (!context.mesh.status().enabled) throw new ApiProblem("mesh.off");
      try {
        return { peers: await context.mesh.join(body.addresses) };
      } catch (error) {
        if (error instanceof NetworkError) throw new ApiProblem("mesh.unreachable", error.message);
        throw error;
      }
    },
  });

  add({
    method: "DELETE",
    url: "/v1/mesh/peers/:peerId",
    operationId: "unlinkMeshPeer",
    tag: "mesh",
    summary: "Close the links to a neighbour",
    description: "It may come back; bar it to keep it away.",
    scope: "operator",
    path: peerPath,
    success: { status: 204, description: "The links are closed." },
    problems: ["mesh.peer-not-found"],
    async handler({ params: { peerId } }) {
      if (!(await context.mesh.disconnect(peerId))) throw new ApiProblem("mesh.peer-not-found");
    },
  });
}

/** The fleet, as any of its agents knows it. */
export function addFleet({ add, context }: Router): void {
  add({
    method: "GET",
    url: "/v1/fleet/agents",
    operationId: "listFleetAgents",
    tag: "fleet",
    summary: "The agents of the fleet that this one knows",
    description:
      "Any agent can be asked; no server knows more than they do. With `scope=all` it asks others for those that it has no room for; a survey is kept for a minute.",
    scope: "viewer",
    query: listQuery({
      scope: Type.Optional(
        Type.Enum(["known", "all"], {
          description: "`all`: those that other agents know too. Unless set: those known here.",
        }),
      ),
      state: Type.Optional(
        Type.Enum(["alive", "suspect", "dead", "left"], {
          description: "Only those in this state.",
        }),
      ),
    }),
    success: { status: 200, description: "The agents, by their ids.", schema: fleetAgents },
    further: [
      {
        status: 202,
        description: "Others are being asked. Ask again when the survey at the Location is done.",
        schema: named(fleetSurvey),
        headers: { Location: "Where the survey is seen.", "Retry-After": "Seconds." },
      },
    ],
    problems: ["request.cursor"],
    async handler({ query }, reply) {
      const { state, scope } = query;
      const { mesh } = context;
      const survey = scope === "all" ? await mesh.survey(SURVEY_WAIT_MS) : undefined;
      if (survey?.state === "running") {
        reply.code(202).headers({ location: SURVEY_URL, "retry-after": "1" }).send(survey);
        return alreadySent;
      }
      const agents = survey === undefined ? mesh.agents() : mesh.surveyedAgents();
      const chosen = state === undefined ? agents : agents.filter((agent) => agent.state === state);
      const list = `fleet-agents:${state ?? ""}:${survey?.number ?? ""}`;
      return {
        ...pageOf(context.tokens.seal, list, chosen, query),
        counts: { ...mesh.counts(), estimated: mesh.size() },
        ...(survey !== undefined && { survey }),
      };
    },
  });

  add({
    method: "GET",
    url: SURVEY_URL,
    operationId: "getFleetSurvey",
    tag: "fleet",
    summary: "How far the survey of the fleet is, or how the last one ended",
    scope: "viewer",
    success: { status: 200, description: "The survey.", schema: fleetSurvey },
    problems: ["fleet.no-survey"],
    handler() {
      const survey = context.mesh.currentSurvey();
      if (survey === undefined) throw new ApiProblem("fleet.no-survey");
      return survey;
    },
  });
}
