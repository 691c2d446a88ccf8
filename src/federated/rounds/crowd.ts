import type { RoundPace, RoundTimes } from "./options.ts";

/** More trainers than that can not all have a link to an aggregator. */
const CROWD = 64;
/** Of the time in which no round is closed a crowd spreads its words over this share. */
const SPREAD = 0.8;
/** An aggregator with 64 links, each of which is there for a fifth of a second, hears one in so many milliseconds, and has other things to do. */
const HEARING_MS = 8;

/** @returns whether so many trainers spread what they have to say */
export function isCrowd(trainers: number): boolean {
  return trainers > CROWD;
}

/**
 * @returns over how long from a head on so many trainers spread what they have to say of it: the time in which no round is closed, or as long
 * as an aggregator needs to hear so many; 0 where they need not
 */
export function spreadMs(trainers: number, times: RoundTimes, pace: RoundPace): number {
  if (!isCrowd(trainers)) return 0;
  return Math.min(Math.max(SPREAD * times.gatherMs, trainers * HEARING_MS), pace.deadlineMs / 2);
}

/** @returns for how long from a head on no round is closed where nobody is known who would be waited for: all have had their say by then */
export function firstGatherMs(trainers: number, times: RoundTimes, pace: RoundPace): number {
  return Math.max(times.gatherMs, spreadMs(trainers, times, pace) / SPREAD);
}
