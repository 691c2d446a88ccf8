import * as Type from "typebox";
import { GrantError } from "../../access/grant-errors.ts";
import type { TokenInfo } from "../../access/tokens.ts";
import type { AccessView } from "../context.ts";
import { decodeCursor, encodeCursor, pageOf, plainListQuery } from "../cursor.ts";
import { ApiProblem } from "../problem.ts";
import type { Router } from "../route.ts";
import {
  auditPage,
  auditVerdict,
  ban,
  banRequest,
  bans,
  exported,
  grant,
  grantRequest,
  grants,
  imported,
  importRequest,
  meshRoles,
} from "../schemas/access.ts";

const AUDIT = "mesh-audit";
const grantPath = Type.Object({
  id: Type.String({ minLength: 1, maxLength: 128, description: "Id of the grant." }),
});
const peerPath = Type.Object({
  peerId: Type.String({ minLength: 1, maxLength: 128, description: "Peer id." }),
});
const refusals = [
  "access.malformed",
  "access.forged",
  "access.unknown-issuer",
  "access.expired",
  "access.revoked",
  "access.replayed",
  "access.too-many",
] as const;

/** Who may do what in the mesh. */
export function addAccess(router: Router): void {
  addGrants(router);
  addBans(router);
  addAudit(router);
}

function addGrants({ add, context }: Router): void {
  const access = (): AccessView => required(context.meshAccess);
  add({
    method: "GET",
    url: "/v1/mesh/roles",
    operationId: "listMeshRoles",
    tag: "access",
    summary: "The roles of this device, and what they allow",
    scope: "viewer",
    query: plainListQuery,
    success: { status: 200, description: "The roles, by name.", schema: meshRoles },
    problems: ["mesh.off", "request.cursor"],
    handler: ({ query }) => pageOf(context.tokens.seal, "mesh-roles", access().roles.list(), query),
  });
  add({
    method: "GET",
    url: "/v1/mesh/grants",
    operationId: "listGrants",
    tag: "access",
    summary: "The grants that this device knows",
    scope: "viewer",
    query: plainListQuery,
    success: { status: 200, description: "The grants, oldest first.", schema: grants },
    problems: ["mesh.off", "request.cursor"],
    handler: ({ query }) => pageOf(context.tokens.seal, "grants", access().grants.list(), query),
  });
  add({
    method: "POST",
    url: "/v1/mesh/grants",
    operationId: "issueGrant",
    tag: "access",
    summary: "Sign a grant with this device's key, and tell the neighbours",
    description:
      "It counts on devices that name this one under `mesh.access.authorities`, and on this one.",
    scope: "admin",
    body: grantRequest,
    success: {
      status: 201,
      description: "The grant.",
      schema: grant,
      headers: { Location: "Where the grant is." },
    },
    problems: [
      "mesh.off",
      "access.terms",
      "access.unknown-role",
      "access.clock-untrusted",
      "access.too-many",
    ],
    async handler({ body, caller }, reply) {
      const issued = await access().issue(body, actorOf(caller)).catch(rethrow);
      reply.header("location", `/v1/mesh/grants/${issued.id}`);
      return issued;
    },
  });
  add({
    method: "GET",
    url: "/v1/mesh/grants/:id",
    operationId: "getGrant",
    tag: "access",
    summary: "One grant",
    scope: "viewer",
    path: grantPath,
    success: { status: 200, description: "The grant.", schema: grant },
    problems: ["mesh.off", "access.grant-not-found"],
    handler: ({ params: { id } }) => found(access().grants.find(id), "access.grant-not-found"),
  });
  add({
    method: "DELETE",
    url: "/v1/mesh/grants/:id",
    operationId: "revokeGrant",
    tag: "access",
    summary: "Take a grant of this device back, and tell the neighbours",
    scope: "admin",
    path: grantPath,
    success: { status: 204, description: "It counts no more." },
    problems: ["mesh.off", "access.grant-not-found", "access.not-issuer", "access.too-many"],
    async handler({ params: { id }, caller }) {
      if (!(await access().revoke(id, actorOf(caller)).catch(rethrow)))
        throw new ApiProblem("access.grant-not-found");
    },
  });
  add({
    method: "GET",
    url: "/v1/mesh/grants/:id/export",
    operationId: "exportGrant",
    tag: "access",
    summary: "A grant as text, to be carried to another device",
    scope: "viewer",
    path: grantPath,
    success: { status: 200, description: "The text; it is no secret.", schema: exported },
    problems: ["mesh.off", "access.grant-not-found"],
    handler: ({ params: { id } }) => ({
      text: found(access().grants.export(id), "access.grant-not-found"),
    }),
  });
  add({
    method: "POST",
    url: "/v1/mesh/grants/import",
    operationId: "importGrant",
    tag: "access",
    summary: "Take in a grant or a list of revocations that was carried here",
    scope: "admin",
    body: importRequest,
    success: { status: 200, description: "It counts here now.", schema: imported },
    problems: ["mesh.off", ...refusals],
    async handler({ body, caller }) {
      const done = await access().import(body.text, actorOf(caller)).catch(rethrow);
      return done.kind === "grant"
        ? { kind: done.kind, id: done.grant.id, issuer: done.grant.issuer }
        : { kind: done.kind, issuer: done.issuer };
    },
  });
}

function addBans({ add, context }: Router): void {
  const access = (): AccessView => required(context.meshAccess);
  const all = () =>
    access()
      .ledger.bans()
      .map(({ peer, ...rest }) => ({ peerId: peer, ...rest }));
  add({
    method: "GET",
    url: "/v1/mesh/bans",
    operationId: "listMeshBans",
    tag: "access",
    summary: "The nodes that are kept away",
    scope: "viewer",
    query: plainListQuery,
    success: { status: 200, description: "The bans.", schema: bans },
    problems: ["mesh.off", "request.cursor"],
    handler: ({ query }) => pageOf(context.tokens.seal, "mesh-bans", all(), query),
  });
  add({
    method: "POST",
    url: "/v1/mesh/bans",
    operationId: "banMeshPeer",
    tag: "access",
    summary: "Keep a node away from this device",
    scope: "admin",
    body: banRequest,
    success: { status: 201, description: "Its links are closed.", schema: ban },
    problems: ["mesh.off", "access.terms"],
    async handler({ body, caller }) {
      const { peerId, ...order } = body;
      if (!(await access().ban(peerId, { ...order, by: actorOf(caller) })))
        throw new ApiProblem("access.terms", "This device can not ban itself.");
      return found(
        all().find((one) => one.peerId === peerId),
        "access.ban-not-found",
      );
    },
  });
  add({
    method: "DELETE",
    url: "/v1/mesh/bans/:peerId",
    operationId: "unbanMeshPeer",
    tag: "access",
    summary: "Let a node in again",
    scope: "admin",
    path: peerPath,
    success: { status: 204, description: "It may come back." },
    problems: ["mesh.off", "access.ban-not-found"],
    async handler({ params: { peerId }, caller }) {
      if (!(await access().unban(peerId, actorOf(caller))))
        throw new ApiProblem("access.ban-not-found");
    },
  });
}

function addAudit({ add, context }: Router): void {
  const access = (): AccessView => required(context.meshAccess);
  add({
    method: "GET",
    url: "/v1/mesh/audit",
    operationId: "listAudit",
    tag: "access",
    summary: "Who did what, and whether it was allowed",
    scope: "admin",
    query: plainListQuery,
    success: { status: 200, description: "The entries, newest first.", schema: auditPage },
    problems: ["mesh.off", "request.cursor"],
    async handler({ query }) {
      const { seal } = context.tokens;
      const before = decodeCursor(seal, AUDIT, "", query.cursor, "number");
      const { entries, next } = await access().audit.page({
        limit: query.limit,
        ...(before !== undefined && { before }),
      });
      return {
        items: entries,
        ...(next !== undefined && { nextCursor: encodeCursor(seal, AUDIT, "", next) }),
      };
    },
  });
  add({
    method: "GET",
    url: "/v1/mesh/audit/verification",
    operationId: "verifyAudit",
    tag: "access",
    summary: "Check that the audit log is whole and as it was written",
    scope: "admin",
    success: { status: 200, description: "What the look has found.", schema: auditVerdict },
    problems: ["mesh.off"],
    handler: () => access().audit.verify(),
  });
}

function required(access: AccessView | undefined): AccessView {
  if (access === undefined) throw new ApiProblem("mesh.off");
  return access;
}

function found<T>(
  value: T | undefined,
  code: "access.grant-not-found" | "access.ban-not-found",
): T {
  if (value === undefined) throw new ApiProblem(code);
  return value;
}

/** Who it was, for the audit log. */
function actorOf(caller: TokenInfo | null): string {
  return caller === null ? "local" : `token:${caller.id}`;
}

function rethrow(error: unknown): never {
  throw error instanceof GrantError ? new ApiProblem(error.code, error.message) : error;
}
