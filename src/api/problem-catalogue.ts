/** What a problem code stands for. `docs/errors.md` is generated from this table. */
export interface ProblemMeaning {
  readonly status: number;
  /** Short, the same for every occurrence (RFC 9457 section 3.1.3). */
  readonly title: string;
  readonly fix: string;
}

const storeFix =
  "See `storeFault` in GET /v1/queue and the log; free space on the disk that holds the data directory. The agent recovers by itself.";

/** Every code that an answer of the REST API can carry. Codes are stable; the list may grow. */
export const problemCatalogue = {
  "auth.missing": {
    status: 401,
    title: "No token was sent",
    fix: "Send `Authorization: Bearer am_…`. The first token is in `admin.token` in the data directory.",
  },
  "auth.malformed": {
    status: 401,
    title: "The token is malformed",
    fix: "Send the whole token as it was created: `am_`, 12 hexadecimal digits, `_`, 43 characters.",
  },
  "auth.unknown": {
    status: 401,
    title: "The token is not known here",
    fix: "It was revoked, or belongs to another agent. Create one with `agent-mesh token create`.",
  },
  "auth.expired": {
    status: 401,
    title: "The token has ended",
    fix: "Create another one with `agent-mesh token create`.",
  },
  "auth.clock-untrusted": {
    status: 401,
    title: "The token's end cannot be told",
    fix: "The device's clock is not set yet. Set it (NTP), or use a token that never ends.",
  },
  "auth.scope": {
    status: 403,
    title: "The token may not do this",
    fix: "Use a token of the scope that `detail` names.",
  },
  "request.invalid": {
    status: 400,
    title: "The request is not valid",
    fix: "Mend what `errors` names; parameters are described in /openapi.json.",
  },
  "request.malformed": {
    status: 400,
    title: "The request cannot be read",
    fix: "Mend the syntax that `detail` names.",
  },
  "request.cursor": {
    status: 400,
    title: "The cursor is not one of ours",
    fix: "Pass `nextCursor` of the previous page as it is, with the same filters, or begin without a cursor.",
  },
  "request.too-large": {
    status: 413,
    title: "The request body is too large",
    fix: "Send less, or raise `api.bodyBytesMax`.",
  },
  "request.headers-too-large": {
    status: 431,
    title: "The request's headers are too large",
    fix: "Send fewer or shorter headers, and a shorter URL.",
  },
  "request.timeout": {
    status: 408,
    title: "The request took too long to arrive",
    fix: "Send the whole request within 30 seconds.",
  },
  "request.media-type": {
    status: 415,
    title: "The media type is not understood",
    fix: "Send `Content-Type: application/json`.",
  },
  "mesh.off": {
    status: 409,
    title: "The mesh is off",
    fix: "Set `mesh.enabled: true` and start the agent again.",
  },
  "mesh.unreachable": {
    status: 502,
    title: "Nobody answered at these addresses",
    fix: "See `detail`; check that the other agent listens there (`mesh.host`), and that both have the same `mesh.networkKeyFile`. They are tried again by themselves.",
  },
  "mesh.peer-not-found": {
    status: 404,
    title: "No such neighbour",
    fix: "GET /v1/mesh/peers lists those that are linked.",
  },
  "access.malformed": {
    status: 400,
    title: "This is no grant",
    fix: "Pass the whole text that the export gave, with its first and last line.",
  },
  "access.forged": {
    status: 400,
    title: "The signature is not the issuer's",
    fix: "Export it again on the device that issued it.",
  },
  "access.terms": {
    status: 400,
    title: "Such a grant can not be given",
    fix: "See `detail`; give 1 to 8 roles or up to 16 permissions to the peer id of an agent.",
  },
  "access.unknown-role": {
    status: 400,
    title: "There is no such role",
    fix: "GET /v1/mesh/roles lists them; add your own under `mesh.access.roles`.",
  },
  "access.unknown-issuer": {
    status: 409,
    title: "The issuer is no authority here",
    fix: "Add its peer id to `mesh.access.authorities`.",
  },
  "access.expired": {
    status: 409,
    title: "The grant has ended",
    fix: "Issue another one.",
  },
  "access.revoked": {
    status: 409,
    title: "The grant was taken back",
    fix: "Issue another one.",
  },
  "access.replayed": {
    status: 409,
    title: "A later list of the issuer is here already",
    fix: "Nothing needs to be done; or export the newest list.",
  },
  "access.too-many": {
    status: 409,
    title: "There are too many grants",
    fix: "Raise `mesh.access.grantsMax`, or take back grants that are no longer used; a device may hold 16.",
  },
  "access.clock-untrusted": {
    status: 409,
    title: "The grant's end cannot be told",
    fix: "Set the device's clock, or leave out expiresInMs.",
  },
  "access.not-issuer": {
    status: 409,
    title: "Another device issued the grant",
    fix: "Take it back on the device that `detail` names, or with its list of revocations.",
  },
  "access.grant-not-found": {
    status: 404,
    title: "No such grant",
    fix: "GET /v1/mesh/grants lists them.",
  },
  "access.ban-not-found": {
    status: 404,
    title: "The node is not banned",
    fix: "GET /v1/mesh/bans lists those that are.",
  },
  "consensus.off": {
    status: 409,
    title: "Agreement is off",
    fix: "Set `consensus.enabled: true` on the agents that are to have a committee, and start them again.",
  },
  "consensus.no-committee": {
    status: 409,
    title: "This agent knows of no committee that could decide",
    fix: "GET /v1/consensus tells what is known; a committee is founded once `consensus.foundersMin` agents on mains are there.",
  },
  "consensus.refused": {
    status: 409,
    title: "It can not be decided so",
    fix: "See `detail`.",
  },
  "consensus.busy": {
    status: 503,
    title: "Too much waits to be decided already",
    fix: "Ask again later.",
  },
  "consensus.timeout": {
    status: 504,
    title: "The committee did not answer in time",
    fix: "It may still decide: look at the proposal. GET /v1/consensus tells whether anybody leads.",
  },
  "consensus.not-found": {
    status: 404,
    title: "No such proposal, or nothing accepted under its id",
    fix: "GET /v1/consensus/proposals and /v1/consensus/decisions list those that are known here.",
  },
  "fleet.no-survey": {
    status: 404,
    title: "No survey of the fleet runs, and none is kept",
    fix: "GET /v1/fleet/agents?scope=all begins one.",
  },
  "learning.off": {
    status: 409,
    title: "This agent does not learn",
    fix: "Set `learning.enabled: true`, with `mesh.enabled` and `consensus.enabled`, and start the agent again.",
  },
  "learning.spec": {
    status: 400,
    title: "This can not be learned, or not so",
    fix: "See `detail` for each key that is wrong; the document's schema `LearningTaskSpec` has them all.",
  },
  "learning.unknown-task": {
    status: 404,
    title: "There is no such learning task",
    fix: "GET /v1/learning/tasks lists those that are known here; a new one takes a moment to get around.",
  },
  "learning.not-the-author": {
    status: 409,
    title: "Another agent started the learning task",
    fix: "Ask the agent that `author` names.",
  },
  "learning.ended": {
    status: 409,
    title: "The learning task was stopped",
    fix: "Start a new one.",
  },
  "learning.full": {
    status: 409,
    title: "There are too many learning tasks",
    fix: "Stop one that is needed no more.",
  },
  "learning.busy": {
    status: 409,
    title: "This very learning task was started a moment ago",
    fix: "GET /v1/learning/tasks lists it; ask once more for a second one.",
  },
  "learning.no-data": {
    status: 409,
    title: "This agent has no samples for the learning task",
    fix: "Name them in `learning.datasets`.",
  },
  "learning.no-model": {
    status: 409,
    title: "The model can not be run here, or not yet",
    fix: "The task's `activity` and `because` tell why; wait until the agent has fetched it.",
  },
  "learning.no-streams": {
    status: 409,
    title: "The learning task is not on sensor streams, or this agent takes no part",
    fix: "Only a task with `data.kind: streams` is served; the task's `activity` and `because` tell what this agent does.",
  },
  "learning.version": {
    status: 409,
    title: "That can not be done with this model",
    fix: "See `detail`; GET /v1/learning/tasks/{task}/versions lists the models that are kept here.",
  },
  "learning.label": {
    status: 400,
    title: "This is no label",
    fix: "See `detail`: a label has `fromMs`, `toMs` not before it, and a `class`.",
  },
  "learning.unknown-label": {
    status: 404,
    title: "There is no such label",
    fix: "GET /v1/learning/tasks/{task}/labels lists them; it may have been taken back.",
  },
  "tasks.off": {
    status: 409,
    title: "This agent takes no tasks",
    fix: "Set `mesh.enabled` and `coordination.tasks.enabled`.",
  },
  "tasks.unmet": {
    status: 409,
    title: "Nobody in the fleet can do the task",
    fix: "See `detail` for what is missing; GET /v1/fleet/agents tells what each agent offers.",
  },
  "tasks.dependency": {
    status: 409,
    title: "What the task is to wait for is not there",
    fix: "Name tasks of this agent that are under way or done.",
  },
  "tasks.full": {
    status: 409,
    title: "There are too many tasks",
    fix: "Wait until some have ended.",
  },
  "tasks.invalid": {
    status: 400,
    title: "Such a task can not be",
    fix: "See `detail`.",
  },
  "tasks.not-found": {
    status: 404,
    title: "There is no such task",
    fix: "GET /v1/tasks lists them; those that ended long ago are forgotten.",
  },
  "tasks.no-offer": {
    status: 404,
    title: "No such work waits for a program here",
    fix: "GET /v1/tasks/offers lists what does; it may have been stopped, or taken too long.",
  },
  "trails.off": {
    status: 409,
    title: "This agent keeps no trails",
    fix: "Set `mesh.enabled` and `coordination.swarm.enabled`.",
  },
  "trails.full": {
    status: 409,
    title: "There is no room for the trail",
    fix: "All others are stronger; wait until they have evaporated, or raise `coordination.swarm.trailsMax`.",
  },
  "route.not-found": {
    status: 404,
    title: "There is nothing at this path",
    fix: "See /openapi.json or /docs for the paths there are.",
  },
  "route.method": {
    status: 405,
    title: "The path does not take this method",
    fix: "Use one of the methods in the `Allow` header.",
  },
  "page.missing": {
    status: 404,
    title: "The web page was not built",
    fix: "Run `npm run build`, and start the agent again.",
  },
  "docs.missing": {
    status: 404,
    title: "This document is not installed",
    fix: "Run `npm run build`, and start the agent again.",
  },
  "idempotency.key": {
    status: 400,
    title: "The Idempotency-Key is malformed",
    fix: "Send 1 to 255 printable ASCII characters, best a UUID in double quotes.",
  },
  "idempotency.in-progress": {
    status: 409,
    title: "The first request with this key is still being worked on",
    fix: "Wait a moment, and send the same request again.",
  },
  "idempotency.mismatch": {
    status: 422,
    title: "This key was used for another request",
    fix: "Use a new Idempotency-Key for every new request.",
  },
  "idempotency.secret-not-kept": {
    status: 409,
    title: "This key has created a token already",
    fix: "The secret is told once and never kept. If the answer was lost, revoke that token and create one with a new key.",
  },
  "resources.not-sampled": {
    status: 503,
    title: "The device was not sampled yet",
    fix: "Ask again in a second.",
  },
  "events.too-many-listeners": {
    status: 503,
    title: "Too many listen to events already",
    fix: "Close other listeners, or raise `api.eventListenersMax`.",
  },
  "dead-letter.not-found": {
    status: 404,
    title: "There is no such dead letter",
    fix: "See GET /v1/queue/dead-letters; it may have been requeued, deleted, or dropped to keep the quota.",
  },
  "token.not-found": {
    status: 404,
    title: "There is no such token",
    fix: "See GET /v1/tokens for the ids.",
  },
  "token.too-many": {
    status: 409,
    title: "There are too many tokens",
    fix: "Revoke tokens that are no longer used.",
  },
  "token.last-admin": {
    status: 409,
    title: "This is the last admin token",
    fix: "Create another admin token that never ends, then revoke this one.",
  },
  "token.clock-untrusted": {
    status: 409,
    title: "The token's end cannot be told",
    fix: "Set the device's clock (NTP), or leave out `expiresInMs`.",
  },
  "agent.not-ready": {
    status: 503,
    title: "The agent is not ready",
    fix: "See `checks` for what is wrong.",
  },
  "outbox.full": {
    status: 409,
    title: "The queue is full",
    fix: "Wait until the uplink has drained it, raise `outbox.bytesMax`, or choose another `outbox.evict`.",
  },
  "outbox.too-many-streams": {
    status: 409,
    title: "There are too many streams",
    fix: "Publish to fewer topics.",
  },
  "outbox.update-too-large": {
    status: 409,
    title: "The update is too large for the queue",
    fix: "Delete the dead letter; send smaller readings.",
  },
  "outbox.store-failed": { status: 503, title: "The queue's store failed", fix: storeFix },
  "outbox.busy": {
    status: 503,
    title: "The queue has too much to write",
    fix: "Ask again in a moment.",
  },
  "outbox.closed": {
    status: 503,
    title: "The agent is stopping",
    fix: "Ask again when it has started.",
  },
  "store.full": { status: 503, title: "The disk is full", fix: storeFix },
  "store.locked": {
    status: 503,
    title: "The store is in use by another process",
    fix: "Stop the other agent that uses this data directory.",
  },
  "store.corrupt": {
    status: 503,
    title: "The store is damaged",
    fix: "It was repaired: see `quarantine` in the data directory and the log. Send the request again.",
  },
  "store.closed": {
    status: 503,
    title: "The agent is stopping",
    fix: "Ask again when it has started.",
  },
  "store.failed": { status: 503, title: "The store failed", fix: storeFix },
  "internal.failed": {
    status: 500,
    title: "The agent failed to answer",
    fix: "It is a defect: see the log for what happened, and report it.",
  },
} as const satisfies Readonly<Record<string, ProblemMeaning>>;

/** Code of a problem: stable, one for each kind. */
export type ProblemCode = keyof typeof problemCatalogue;

/** @returns true for a code of the catalogue. */
export function isProblemCode(code: unknown): code is ProblemCode {
  return typeof code === "string" && Object.hasOwn(problemCatalogue, code);
}
