import * as Type from "typebox";
import { listQuery, pageOf } from "../cursor.ts";
import { ApiProblem } from "../problem.ts";
import type { Router } from "../route.ts";
import {
  trail,
  trailChoice,
  trailDeposit,
  trailName,
  trailOptions,
  trails,
} from "../schemas/trails.ts";

/** More than that nobody looks through. */
const LISTED_MAX = 4_096;
const query = listQuery({
  prefix: Type.Optional(Type.String({ maxLength: 128, description: "Only trails that begin so." })),
});

/** What agents tell each other by deposits that evaporate. */
export function addTrails({ add, context }: Router): void {
  add({
    method: "GET",
    url: "/v1/trails",
    operationId: "listTrails",
    tag: "trails",
    summary: "Trails, the strongest first",
    scope: "viewer",
    query,
    success: { status: 200, description: "A page of trails.", schema: trails },
    problems: ["request.cursor"],
    handler({ query: { prefix = "", ...query } }) {
      const { tickMs, decay } = context.trails.summary();
      const found = context.trails.list(LISTED_MAX, prefix);
      return { ...pageOf(context.tokens.seal, `trails ${prefix}`, found, query), tickMs, decay };
    },
  });

  add({
    method: "POST",
    url: "/v1/trails/:trail/deposits",
    operationId: "depositOnTrail",
    tag: "trails",
    summary: "Strengthen a trail for the whole fleet",
    scope: "operator",
    path: Type.Object({ trail: trailName }),
    body: trailDeposit,
    success: { status: 200, description: "The trail as it is now.", schema: trail },
    problems: ["trails.off", "trails.full"],
    handler({ params, body: { amount = 1 } }) {
      if (!context.trails.summary().enabled) throw new ApiProblem("trails.off");
      const level = context.trails.deposit(params.trail, amount);
      if (level === undefined) throw new ApiProblem("trails.full");
      return { trail: params.trail, level };
    },
  });

  add({
    method: "POST",
    url: "/v1/trails/choose",
    operationId: "chooseTrail",
    tag: "trails",
    summary: "Choose one of several agents, ways or tasks by their trails",
    description:
      "The stronger a trail and the better its heuristic, the likelier; a share of choices (`coordination.swarm.exploration`) looks at nothing. Tell what was good with a deposit.",
    scope: "operator",
    body: trailOptions,
    success: { status: 200, description: "What was chosen.", schema: trailChoice },
    problems: ["trails.off"],
    handler({ body }) {
      const options = body.options.map(({ trail, heuristic = 1 }) => ({ trail, heuristic }));
      const choice = context.trails.choose(options);
      const chosen = options[choice?.index ?? 0];
      if (choice === undefined || chosen === undefined) throw new ApiProblem("trails.off");
      return { ...choice, trail: chosen.trail };
    },
  });
}
