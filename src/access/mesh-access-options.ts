import * as Type from "typebox";
import { builtInRoles, isRoleName, PERMISSION_NAME_PATTERN, ROLE_NAME_PATTERN } from "./roles.ts";

const rate = (value: number, description: string) =>
  Type.Number({ default: value, minimum: 0.1, maximum: 1e10, description });

const banOptions = Type.Object(
  {
    scoreLimit: Type.Number({
      default: 100,
      minimum: 1,
      maximum: 1e6,
      description: "Score of offences at which a peer is banned; each kind has a weight.",
    }),
    halfLifeMs: Type.Integer({
      default: 300_000,
      minimum: 1_000,
      maximum: 86_400_000,
      description: "Time in which a score halves.",
    }),
    cooldownMs: Type.Integer({
      default: 600_000,
      minimum: 1_000,
      maximum: 86_400_000,
      description: "Length of a first ban; every further one is twice as long.",
    }),
    cooldownMaxMs: Type.Integer({
      default: 86_400_000,
      minimum: 1_000,
      maximum: 2_592_000_000,
      description: "Longest ban that is given without anybody asking.",
    }),
    forgiveAfterMs: Type.Integer({
      default: 86_400_000,
      minimum: 60_000,
      maximum: 2_592_000_000,
      description: "Time after the end of a ban until the next one is a first one again.",
    }),
  },
  { additionalProperties: false, default: {}, description: "Peers that break the rules." },
);

const protocolRate = Type.Object(
  {
    framesPerSecond: rate(100, "Frames taken from one peer."),
    bytesPerSecond: rate(1_048_576, "Payload bytes taken from one peer."),
  },
  { additionalProperties: false },
);

const rateOptions = Type.Object(
  {
    framesPerSecond: rate(2_000, "Frames taken from one peer, all protocols together."),
    bytesPerSecond: rate(67_108_864, "Payload bytes taken from one peer."),
    globalFramesPerSecond: rate(20_000, "Frames taken from all peers together."),
    globalBytesPerSecond: rate(268_435_456, "Payload bytes taken from all peers together."),
    burstSeconds: Type.Number({
      default: 2,
      minimum: 0.1,
      maximum: 60,
      description: "What is not used is saved up for this long.",
    }),
    protocols: Type.Record(Type.String({ minLength: 1, maxLength: 256 }), protocolRate, {
      default: {},
      maxProperties: 64,
      description: "Tighter limits of single protocols and topics, by their full name.",
    }),
    identitiesPerMinute: Type.Integer({
      default: 16,
      minimum: 1,
      maximum: 1_000,
      description:
        "New peers admitted from one network (/24 of IPv4, /64 of IPv6) in a minute. Those that hold a grant do not count.",
    }),
  },
  { additionalProperties: false, default: {}, description: "How much is taken from peers." },
);

/** Settings under `mesh.access`. */
export const meshAccessOptions = Type.Object(
  {
    mode: Type.Enum(["open", "granted"], {
      default: "open",
      description:
        "`open`: whoever has a link may use the base protocols. `granted`: nothing goes without a grant. Roles of learning need one in either mode.",
    }),
    authorities: Type.Array(Type.String({ minLength: 1, maxLength: 128 }), {
      default: [],
      maxItems: 32,
      uniqueItems: true,
      description:
        "Peer ids whose grants count here. The device's own key always counts on this device, and nowhere else unless it is listed there.",
    }),
    roles: Type.Record(
      Type.String({ pattern: ROLE_NAME_PATTERN }),
      Type.Array(Type.String({ pattern: PERMISSION_NAME_PATTERN }), {
        minItems: 1,
        maxItems: 64,
        uniqueItems: true,
      }),
      {
        // No `additionalProperties: false`: TypeBox can not fill in defaults beside it.
        default: {},
        maxProperties: 64,
        description: "Own roles: name and permissions.",
      },
    ),
    grantsMax: Type.Integer({
      default: 4_096,
      minimum: 16,
      maximum: 4_096,
      description: "Grants kept; once there are as many, only those that have ended give way.",
    }),
    auditEntriesMax: Type.Integer({
      default: 2_048,
      minimum: 64,
      maximum: 65_536,
      description: "Entries of the audit log; the oldest give way.",
    }),
    ban: banOptions,
    rates: rateOptions,
  },
  { additionalProperties: false, default: {}, description: "Who may do what in the mesh." },
);

/** @see meshAccessOptions */
export type MeshAccessOptions = Type.Static<typeof meshAccessOptions>;

/**
 * @param isPeerId whether a text names an Ed25519 key
 * @returns what each key of `mesh.access` allows and their combination does not; every line names its setting
 */
export function meshAccessFaults(
  options: MeshAccessOptions,
  isPeerId: (text: string) => boolean,
): readonly string[] {
  const faults: string[] = [];
  options.authorities.forEach((authority, at) => {
    if (!isPeerId(authority))
      faults.push(`mesh.access.authorities.${at} is not the peer id of an Ed25519 key`);
  });
  for (const name of Object.keys(options.roles))
    if (!isRoleName(name))
      faults.push(
        `mesh.access.roles.${name.slice(0, 40)} can not be a role: a small letter, then small letters, digits, - or _, at most 32`,
      );
    else if (Object.hasOwn(builtInRoles, name))
      faults.push(`mesh.access.roles.${name} is built in; choose another name`);
  if (options.ban.cooldownMs > options.ban.cooldownMaxMs)
    faults.push("mesh.access.ban.cooldownMs is over cooldownMaxMs");
  return faults;
}
