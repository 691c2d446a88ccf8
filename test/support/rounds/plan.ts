import type { RoundPace, RoundTimes } from "../../../src/federated/rounds/options.ts";
import type { Hasher } from "../../../src/platform/hasher.ts";
import type { ToyCommittee } from "./committee.ts";
import type { Ether } from "./ether.ts";
import type { Ledger } from "./ledger.ts";

/** How a trainer lies. */
export type TrainerLie = "two-words" | "silent" | "copy" | "nothing" | "malformed";

/** How an aggregator lies. */
export type AggregatorLie = "false-model" | "replay" | "old-base" | "too-few" | "withhold";

/** How a member of the committee lies. */
export type MemberLie = "any-vote" | "flood";

/** Mistakes that a world can be made to make, to see that they are noticed. */
export type PlantedBug =
  /** A trainer that begins anew does not know what it has signed. */
  | "forgets-its-word"
  /** A trainer tells its word before the disk has it. */
  | "tells-too-soon"
  /** A judge accepts before the disk has what comes of a round. */
  | "votes-too-soon"
  /** Judges accept updates that were counted before. */
  | "blind-to-counts"
  /** Judges accept records that follow no head. */
  | "blind-to-bases"
  /** Judges accept any model. */
  | "blind-to-models"
  /** Judges accept rounds of too few. */
  | "blind-to-numbers"
  /** Judges do not wait for the end of what came before. */
  | "blind-to-order"
  /** Nobody takes a round over. */
  | "no-takeover";

/** One agent of a world. */
export interface AgentPlan {
  readonly name: string;
  readonly trains: boolean;
  readonly aggregates: boolean;
  /** Milliseconds that a training takes. */
  readonly trainMs: number;
  /** After a restart its data are others, and training comes to something else. */
  readonly forgetful: boolean;
  readonly trainerLie?: TrainerLie | undefined;
  readonly aggregatorLie?: AggregatorLie | undefined;
  readonly memberLie?: MemberLie | undefined;
}

/** What agents of a world share. */
export interface Stage {
  readonly task: string;
  readonly pace: RoundPace;
  readonly times: RoundTimes;
  readonly hasher: Hasher;
  readonly ether: Ether;
  readonly committee: ToyCommittee;
  readonly ledger: Ledger;
  /** All bytes that there are, by their hash. */
  readonly contents: Map<string, string | Uint8Array>;
  readonly bugs: ReadonlySet<PlantedBug>;
  /** Names of agents by their peer ids. */
  readonly names: ReadonlyMap<string, string>;
  trace(agent: string, what: string): void;
}
