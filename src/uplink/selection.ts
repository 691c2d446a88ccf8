/** What counts of one uplink when the one that carries the updates is chosen. */
export interface Candidate {
  readonly up: boolean;
  /** How long it has been up; 0 when it is not. */
  readonly upForMs: number;
  /** How long it must have been up to take over from a worse one that works. */
  readonly failbackAfterMs: number;
  /** Not up, but expected back so soon that nobody takes its place: its first attempt, a short pause asked for. */
  readonly hopeful: boolean;
  /** Connected only when needed. */
  readonly cold: boolean;
  /** May carry nothing now: its bytes for the day are used up. */
  readonly exhausted: boolean;
  /** Updates that it may carry are waiting. */
  readonly work: boolean;
}

/** Who carries, who is to be connected, and when to look again if nothing happens before. */
export interface Selection {
  readonly active: number | undefined;
  readonly connected: readonly boolean[];
  readonly askAgainInMs?: number;
}

/**
 * Chooses among uplinks in order of preference. Pure.
 *
 * The one that carries keeps doing so while it works, until a better one has been up for its `failbackAfterMs`:
 * a link that comes and goes does not take the updates with it each time. When it fails, the best one that is up
 * takes over at once, unless a better one is expected back in a moment.
 */
export function select(candidates: readonly Candidate[], active: number | undefined): Selection {
  const usable = ({ up, exhausted }: Candidate): boolean => up && !exhausted;
  const current = active === undefined ? undefined : candidates[active];
  if (current === undefined || !usable(current)) {
    const first = candidates.findIndex((each) => usable(each) || isHopeful(each));
    const each = candidates[first];
    return finished(candidates, each !== undefined && usable(each) ? first : undefined);
  }
  let askAgainInMs: number | undefined;
  for (const [at, better] of candidates.slice(0, active).entries()) {
    if (!usable(better)) continue;
    const leftMs = better.failbackAfterMs - better.upForMs;
    if (leftMs <= 0) return finished(candidates, at);
    askAgainInMs = Math.min(askAgainInMs ?? leftMs, leftMs);
  }
  return {
    ...finished(candidates, active),
    ...(askAgainInMs === undefined ? {} : { askAgainInMs }),
  };
}

function isHopeful({ hopeful, exhausted }: Candidate): boolean {
  return hopeful && !exhausted;
}

function finished(candidates: readonly Candidate[], active: number | undefined): Selection {
  let served = false;
  const connected = candidates.map((each, at) => {
    const wanted = at === active || (!each.exhausted && (!each.cold || (!served && each.work)));
    served ||= (each.up && !each.exhausted) || isHopeful(each);
    return wanted;
  });
  return { active, connected };
}
