import * as Type from "typebox";
import { count, epochMs, list } from "./common.ts";

const peerId = Type.String({ description: "Name of the node's identity key (libp2p peer id)." });
const names = (description: string) => Type.Array(Type.String(), { description });

/** A signed statement of what a node may do. */
export const grant = Type.Object(
  {
    id: Type.String(),
    issuer: peerId,
    subject: peerId,
    roles: names("Roles given."),
    permissions: names("Single permissions given beside them."),
    issuedAtMs: epochMs("When it was signed."),
    notBeforeMs: Type.Optional(epochMs("It counts from then on.")),
    expiresAtMs: Type.Optional(epochMs("It counts until then; absent: for good.")),
    state: Type.Enum(["live", "expired", "not-yet-valid", "clock-untrusted", "unknown-issuer"], {
      description: "Whether it counts on this device now, and why not.",
    }),
  },
  { $id: "Grant" },
);

/** GET /v1/mesh/grants. */
export const grants = list("Grants", grant, {});

/** POST /v1/mesh/grants. */
export const grantRequest = Type.Object(
  {
    subject: Type.String({ minLength: 1, maxLength: 128, description: "Peer id of the node." }),
    roles: Type.Optional(
      Type.Array(Type.String({ maxLength: 32 }), { maxItems: 8, description: "Roles to give." }),
    ),
    permissions: Type.Optional(
      Type.Array(Type.String({ maxLength: 32 }), {
        maxItems: 16,
        description: "Single permissions to give.",
      }),
    ),
    expiresInMs: Type.Optional(
      Type.Integer({ minimum: 1_000, description: "Ends after this time; absent: never." }),
    ),
  },
  { additionalProperties: false },
);

/** POST /v1/mesh/grants/import. */
export const importRequest = Type.Object(
  {
    text: Type.String({
      minLength: 1,
      maxLength: 65_536,
      description: "What an export gave: `-----BEGIN AGENT MESH …`.",
    }),
  },
  { additionalProperties: false },
);

/** Answer to POST /v1/mesh/grants/import. */
export const imported = Type.Object(
  {
    kind: Type.Enum(["grant", "revocations"]),
    id: Type.Optional(Type.String({ description: "Of the grant." })),
    issuer: peerId,
  },
  { $id: "GrantImported" },
);

/** GET /v1/mesh/grants/{id}/export. */
export const exported = Type.Object(
  { text: Type.String({ description: "To be carried to another device by hand." }) },
  { $id: "GrantExported" },
);

/** GET /v1/mesh/roles. */
export const role = Type.Object(
  { name: Type.String(), permissions: names("What it allows on this device.") },
  { $id: "MeshRole" },
);

/** GET /v1/mesh/roles. */
export const meshRoles = list("MeshRoles", role, {});

/** A node that is kept away. */
export const ban = Type.Object(
  {
    peerId,
    reason: Type.String(),
    by: Type.String({ description: "`automatic`, or who gave it." }),
    givenAtMs: epochMs("When it was given."),
    endsInMs: Type.Optional(
      Type.Number({ minimum: 0, description: "Until it ends by itself; absent: when lifted." }),
    ),
    strikes: count("Bans of this node so far, this one too."),
  },
  { $id: "MeshBan" },
);

/** GET /v1/mesh/bans. */
export const bans = list("MeshBans", ban, {});

/** POST /v1/mesh/bans. */
export const banRequest = Type.Object(
  {
    peerId: Type.String({ minLength: 1, maxLength: 128, description: "Peer id of the node." }),
    reason: Type.String({ minLength: 1, maxLength: 200 }),
    durationMs: Type.Optional(
      Type.Integer({ minimum: 1_000, description: "Ends after this time; absent: when lifted." }),
    ),
  },
  { additionalProperties: false },
);

/** An entry of the audit log. */
export const auditEntry = Type.Object(
  {
    sequence: count("Without gaps."),
    atMs: epochMs("When it was noted."),
    clockTrusted: Type.Boolean({ description: "Whether the clock could be relied on." }),
    actor: Type.String({ description: "Who: `token:…`, `peer:…`, `automatic`, `local`." }),
    action: Type.String(),
    subject: Type.Optional(Type.String()),
    outcome: Type.Enum(["allowed", "denied"]),
    detail: Type.Optional(Type.String()),
    times: Type.Optional(count("Times it happened, where several are told in sum.")),
    previous: Type.String({ description: "SHA-256 of the entry before." }),
  },
  { $id: "AuditEntry" },
);

/** GET /v1/mesh/audit: newest first. */
export const auditPage = list("AuditPage", auditEntry, {});

/** GET /v1/mesh/audit/verification. */
export const auditVerdict = Type.Object(
  {
    sound: Type.Boolean(),
    entries: Type.Optional(count("Entries that were checked.")),
    reason: Type.Optional(
      Type.Enum(["entry", "head"], { description: "What is missing or was changed." }),
    ),
    at: Type.Optional(count("Sequence of the entry.")),
  },
  { $id: "AuditVerdict" },
);
