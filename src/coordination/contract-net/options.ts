/** How an agent calls for contractors. */
export interface InitiatorOptions {
  /** Calls under way at once. */
  readonly callsMax: number;
  /** Agents that one call is announced to; those of the best reputation when there are more. */
  readonly candidatesMax: number;
  /** Best bids that are kept in case a contractor fails, for each agent wanted. */
  readonly reservesPerAgent: number;
  /** Contractors that may be lost in one call and replaced. */
  readonly replacementsMax: number;
  /** For a bid to hold after the bidding ended. */
  readonly holdMs: number;
  /** Until something that was not answered is said again. */
  readonly resendMs: number;
  /** For a contractor to accept its award. */
  readonly acceptWithinMs: number;
  /** A contractor that says nothing for this long has failed. */
  readonly silenceMs: number;
  /** After its promised end a result still counts as in time for this long. */
  readonly graceMs: number;
}

/** For links that answer within a second: silence is noticed after three signs of life that were lost. */
export const defaultInitiatorOptions: InitiatorOptions = {
  callsMax: 256,
  candidatesMax: 128,
  reservesPerAgent: 2,
  replacementsMax: 8,
  holdMs: 10_000,
  resendMs: 1_000,
  acceptWithinMs: 5_000,
  silenceMs: 30_000,
  graceMs: 1_000,
};

/** How an agent takes tasks of others. */
export interface ParticipantOptions {
  /** Units that bids and contracts share. */
  readonly capacity: number;
  /** Bids and contracts that are open at once, of all initiators together and of one of them. */
  readonly openMax: number;
  readonly openPerInitiatorMax: number;
  /** Bids and contracts that are over and remembered, so that what comes twice does no harm. */
  readonly closedMax: number;
  /** Between two signs of life of a contract. */
  readonly heartbeatMs: number;
  /** Until an end that was not settled is said again, at first; each time twice as long. */
  readonly resendMs: number;
  /** How often an end is said. */
  readonly sendsMax: number;
}

/** For a device with room for four tasks at once; see {@link ParticipantOptions.capacity}. */
export const defaultParticipantOptions: ParticipantOptions = {
  capacity: 4,
  openMax: 256,
  openPerInitiatorMax: 64,
  closedMax: 1_024,
  heartbeatMs: 8_000,
  resendMs: 1_000,
  sendsMax: 8,
};
