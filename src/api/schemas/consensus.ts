import * as Type from "typebox";
import { count, list, named, payload } from "./common.ts";

const peer = {
  peerId: Type.String({ description: "Name of the agent's identity key." }),
  agentId: Type.Optional(
    Type.String({ description: "Absent for one that is not in this agent's table." }),
  ),
  self: Type.Boolean({ description: "It is the one that answers." }),
};

/** An agent. */
export const namedPeer = Type.Object(peer, { $id: "NamedPeer" });

/** A member of the committee. */
export const committeeMember = Type.Object(
  {
    ...peer,
    leads: Type.Boolean({ description: "It proposes at the moment, as far as is known here." }),
    fitness: Type.Enum(["fit", "gone", "unfit", "lost"], {
      description:
        "`gone`: dead, or it has left; `unfit`: on battery, failing or saving power, so that no quorum rests on it; `lost`: its disk lost what it had promised, and it has to be taken out.",
    }),
  },
  { $id: "CommitteeMember" },
);

const committee = Type.Object(
  {
    group: Type.String({ description: "Names the committee: 32 hexadecimal digits." }),
    protocol: Type.Enum(["raft", "pbft", "tendermint"]),
    epoch: Type.Integer({
      minimum: 1,
      description: "1 for the founders, and one more with each change of members.",
    }),
    members: Type.Array(named(committeeMember)),
    quorum: count("Members that decide together."),
  },
  { description: "The committee of the fleet; absent while none is known." },
);

const seat = Type.Object(
  {
    standing: Type.Enum(["leading", "following", "electing", "learning", "left", "lost"], {
      description:
        "`electing`: nobody leads, as far as is known here; `learning`: it gets everything and has no vote yet.",
    }),
    leader: Type.Optional(named(namedPeer)),
    term: Type.Integer({ minimum: 0, description: "Grows with every leader." }),
    position: Type.Integer({
      minimum: 0,
      description: "Last place in the committee's order that was applied here.",
    }),
    learners: Type.Array(named(namedPeer), { description: "About to be members." }),
  },
  { description: "This agent's seat; absent where it has none." },
);

/** GET /v1/consensus. */
export const consensus = Type.Object(
  {
    enabled: Type.Boolean({ description: "This agent takes part." }),
    standing: Type.Enum(["none", "follows", "seated", "lost"], {
      description:
        "`none`: it knows of no committee; `follows`: it has no seat and checks what is decided; `lost`: its disk lost what it had promised as a member.",
    }),
    committee: Type.Optional(committee),
    seat: Type.Optional(seat),
    latencyMs: Type.Optional(
      Type.Number({
        minimum: 0,
        description:
          "From a proposal's place in the order to its decision, the last one that this member saw.",
      }),
    ),
    counters: Type.Object(
      {
        proposals: count("Values that this agent put before the committee."),
        decisions: count("Decisions that were taken while this agent had its seat."),
        leaders: count("Changes of the leader."),
      },
      { description: "Since the agent started." },
    ),
  },
  { $id: "Consensus" },
);

const what = {
  proposalId: Type.String({ pattern: "^[0-9a-f]{32}$" }),
  topic: Type.String(),
  value: named(payload),
};

/** A value before the committee, or what became of it. */
export const proposal = Type.Object(
  {
    ...what,
    state: Type.Enum(["open", "accepted", "rejected", "cancelled", "expired"], {
      description: "Others than `open` are final.",
    }),
    proposer: Type.Optional(named(namedPeer)),
    expiresInMs: Type.Optional(
      Type.Number({ description: "While it is open: how much longer members may vote." }),
    ),
    votes: Type.Optional(
      Type.Array(
        Type.Object({
          member: named(namedPeer),
          vote: Type.Enum(["accept", "reject"]),
          reason: Type.String(),
        }),
        { description: "While it is open." },
      ),
    ),
    number: Type.Optional(
      Type.Integer({ minimum: 1, description: "Of the decision; they are counted from 1." }),
    ),
    reasons: Type.Optional(Type.Array(Type.String(), { description: "Why members rejected it." })),
    certificate: Type.Optional(
      Type.String({
        contentEncoding: "base64",
        description:
          "Of an accepted one: a CertifiedDecision of agreement.proto, which anybody can check that knows the members. Absent until enough members have put their names to it.",
      }),
    ),
  },
  { $id: "Proposal" },
);

/** GET /v1/consensus/proposals. */
export const proposals = list("Proposals", proposal, {});

/** GET /v1/consensus/decisions. */
export const decisions = list("Decisions", proposal, {});

/** POST /v1/consensus/proposals. */
export const proposalRequest = Type.Object(
  {
    topic: Type.String({
      pattern: "^[a-z0-9][a-z0-9.-]{0,63}$",
      description:
        "What it is about. Members vote by themselves where they know how to judge a topic; on others people do.",
    }),
    value: Type.Unknown({ description: "Any JSON of at most 60 KiB." }),
    expiresAfterMs: Type.Optional(
      Type.Integer({
        default: 3_600_000,
        minimum: 1_000,
        maximum: 604_800_000,
        description: "How long members may vote.",
      }),
    ),
  },
  { additionalProperties: false },
);

/** Answer to POST /v1/consensus/proposals. */
export const proposed = Type.Object({ proposalId: what.proposalId }, { $id: "Proposed" });

/** POST /v1/consensus/proposals/{proposalId}/votes. */
export const voteRequest = Type.Object(
  {
    vote: Type.Enum(["accept", "reject"]),
    reason: Type.Optional(Type.String({ default: "", maxLength: 256 })),
  },
  { additionalProperties: false },
);

/** POST /v1/consensus/verify. */
export const verifyRequest = Type.Object(
  {
    certificate: Type.String({
      maxLength: 131_072,
      contentEncoding: "base64",
      description: "As a proposal shows it.",
    }),
  },
  { additionalProperties: false },
);

/** Answer to POST /v1/consensus/verify. */
export const verdict = Type.Object(
  {
    valid: Type.Boolean({ description: "The committee did accept this value." }),
    fault: Type.Optional(
      Type.Enum(
        [
          "malformed",
          "no-committee",
          "other-group",
          "other-epoch",
          "too-few-signatures",
          "repeated-signer",
          "not-a-member",
          "forged",
          "other-value",
        ],
        { description: "Why it proves nothing." },
      ),
    ),
    group: Type.Optional(Type.String()),
    number: Type.Optional(Type.Integer({ minimum: 1 })),
    proposalId: Type.Optional(Type.String()),
    topic: Type.Optional(Type.String()),
    value: Type.Optional(named(payload)),
  },
  { $id: "Verdict" },
);
