import type { PeerId } from "../../platform/signer.ts";

/** Longest name of a task, of a call and of a peer, and longest reason, in UTF-16 code units. */
export const NAME_LENGTH_MAX = 128;
/** Longest input and longest output of a task, in UTF-16 code units. */
export const CONTENT_LENGTH_MAX = 65_536;
/** Skills that one task can ask for. */
export const SKILLS_MAX = 16;
/** Agents that a task passes through at most, its first initiator included. */
export const PATH_LENGTH_MAX = 8;
/** Longest time that a call can take: a day. */
export const CALL_MS_MAX = 86_400_000;
/** Agents that one call can engage. */
export const AGENTS_MAX = 64;

/** Something to be done. */
export interface Task {
  /** Tells it apart from others of its initiator. */
  readonly name: string;
  /** What sort of work it is. */
  readonly kind: string;
  /** What the contractor is given; meaningless here. */
  readonly input: string;
  /** Skills that a contractor has to have. */
  readonly needs: readonly string[];
  /** Units of a contractor's capacity that the task takes while it runs, above 0. */
  readonly demand: number;
}

/** The terms of a call. All agents that are awarded the task do all of it. */
export interface Terms {
  readonly agentsMin: number;
  readonly agentsMax: number;
  /** Bids that come later do not count. */
  readonly bidWithinMs: number;
  /** The call has ended by then, one way or the other. */
  readonly expiresInMs: number;
}

/** Which way a task came: through whom, and as whose call it began. */
export interface Route {
  /** The call that it began as, the same in every call that passes it on. */
  readonly root: string;
  /** Agents that announced it, the first initiator first. */
  readonly path: readonly PeerId[];
  /** How often it may still be passed on. */
  readonly hopsLeft: number;
}

/** @throws RangeError for a task that no agent would take */
export function checkTask({ name, kind, input, needs, demand }: Task): void {
  if (name.length === 0 || name.length > NAME_LENGTH_MAX)
    throw new RangeError(`a task's name has 1 to ${NAME_LENGTH_MAX} characters`);
  if (!isName(kind)) throw new RangeError(`a task's kind has 1 to ${NAME_LENGTH_MAX} characters`);
  if (input.length > CONTENT_LENGTH_MAX)
    throw new RangeError(`a task's input has at most ${CONTENT_LENGTH_MAX} characters`);
  if (needs.length > SKILLS_MAX || needs.some((skill) => !isName(skill)))
    throw new RangeError(`a task needs at most ${SKILLS_MAX} skills, with names`);
  if (!(demand > 0 && Number.isFinite(demand)))
    throw new RangeError("a task's demand has to be a number above 0");
}

/** @throws RangeError for terms that no call can keep */
export function checkTerms({ agentsMin, agentsMax, bidWithinMs, expiresInMs }: Terms): void {
  if (!(Number.isInteger(agentsMin) && Number.isInteger(agentsMax)))
    throw new RangeError("agents are counted in whole numbers");
  if (!(agentsMin >= 1 && agentsMax >= agentsMin && agentsMax <= AGENTS_MAX))
    throw new RangeError(`a call engages 1 to ${AGENTS_MAX} agents, and at least its minimum`);
  if (!(bidWithinMs > 0 && expiresInMs > bidWithinMs && expiresInMs <= CALL_MS_MAX))
    throw new RangeError(`bids end before the call does, and it within ${CALL_MS_MAX} ms`);
}

/** @returns whether it can name something */
export function isName(value: unknown): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= NAME_LENGTH_MAX;
}
