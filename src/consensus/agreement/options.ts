/** How a member takes part in ballots. */
export interface AgreementOptions {
  /** A judge that takes longer than that abstains. */
  readonly judgeTimeoutMs: number;
  /** How long an entry is waited for before it is put into the order again. */
  readonly entryTimeoutMs: number;
  /** Between two tries. */
  readonly retryAfterMs: number;
  /** Entries under way at once; what is said meanwhile goes together. */
  readonly entriesMax: number;
  /** Words that wait to be put into the order; further proposals are refused. */
  readonly wordsMax: number;
  /** How long `propose`, `vote` and `cancel` wait unless told otherwise. */
  readonly waitMs: number;
  /** Callers that wait for words, and as many that wait for decisions. */
  readonly waitingMax: number;
  /** Deadlines and waits are looked at so often, while there are any. */
  readonly tickMs: number;
}

/** Options that fit a committee of small devices in one network. */
export const defaultAgreementOptions: AgreementOptions = {
  judgeTimeoutMs: 5_000,
  entryTimeoutMs: 10_000,
  retryAfterMs: 500,
  entriesMax: 4,
  wordsMax: 2_048,
  waitMs: 30_000,
  waitingMax: 4_096,
  tickMs: 100,
};
