import {
  defaultTendermintOptions,
  type TendermintOptions,
} from "../../../src/consensus/tendermint/options.ts";
import type { PeerId } from "../../../src/platform/signer.ts";
import type { Faults } from "../consensus/faults.ts";
import type { LiarManner } from "./liar.ts";

export const INSTANCE = "world";
export const PART_BYTES = 48;
export const CHAIN_MAX = 1_000;

/** Short waits and tight bounds, so that they are met. */
export const worldOptions: TendermintOptions = {
  ...defaultTendermintOptions,
  timeouts: {
    propose: { firstMs: 200, growthMs: 100 },
    prevote: { firstMs: 100, growthMs: 50 },
    precommit: { firstMs: 100, growthMs: 50 },
  },
  timeoutMaxMs: 4_000,
  rebroadcastMs: 150,
  roundsAheadMax: 3,
  proposalRoundsAheadMax: 6,
  roundsBehindMax: 4,
  futureMessagesOfPeerMax: 8,
  partBytes: PART_BYTES,
  valueBytesMax: 4 * PART_BYTES,
  valuesMax: 6,
  decisionsKeptMax: 3,
};

export interface WorldParts {
  readonly seed: string;
  /** Of the validators, in order. */
  readonly powers: readonly number[];
  /** How many of them lie: the last ones. */
  readonly liars: number;
  readonly manner: LiarManner;
  /** How bad the network is before it heals, 0 … 1. */
  readonly dropRate: number;
  readonly crashes: boolean;
  readonly partitions: boolean;
  readonly faults?: Faults;
  /** Chance that a write fails; it is made again. */
  readonly writeFailures?: number;
  /** By how much the waits of each site are longer or shorter, and how much longer it takes for everything. */
  readonly skews?: readonly number[];
  readonly slowness?: readonly number[];
  /** What an honest value holds besides its name. */
  readonly content?: () => string;
  /** What a site has decided; a height comes again when the site restarts. */
  readonly decided?: (site: PeerId, height: number, value: Uint8Array) => void;
}
