import {
  canaryOf,
  type ModelVersion,
  servingOf,
  VERSIONS_MAX,
  type VersionBook,
} from "./version-book.ts";

/** How a new model shows that it may serve. */
export interface CanaryRules {
  /** Windows that it judges in the shadow; 0: the hold-out alone decides. */
  readonly shadowWindows: number;
  /** It may be worse than the one that serves by this share. */
  readonly worseShareMax: number;
}

/** What is done because of a step. */
export type VersionEffect =
  | { readonly kind: "serve"; readonly version: ModelVersion }
  | { readonly kind: "shadow"; readonly version: ModelVersion | undefined }
  /** Its parameters need not be kept any more. */
  | { readonly kind: "forget"; readonly version: ModelVersion }
  | { readonly kind: "decided"; readonly version: ModelVersion; readonly reason: string };

/** What happens to versions. */
export type VersionInput =
  /** A model came; both errors are on what is held out today. The second is absent when nothing serves. */
  | {
      readonly kind: "offered";
      readonly round: number;
      readonly hash: string;
      readonly holdOutError: number;
      readonly servingHoldOutError?: number;
    }
  /** Both judged a window. */
  | {
      readonly kind: "shadowed";
      readonly round: number;
      readonly canaryError: number;
      readonly servingError: number;
    }
  /** By hand: this one serves, whatever its trial says. */
  | { readonly kind: "promote"; readonly round: number }
  /** By hand: the one that served before does again, or that of a round; what serves now is rejected. */
  | { readonly kind: "rollback"; readonly round?: number }
  /** By hand: this one serves until it is unpinned. */
  | { readonly kind: "pin"; readonly round: number }
  | { readonly kind: "unpin" }
  /** Its parameters can not be had; one that serves stays. */
  | { readonly kind: "lost"; readonly round: number };

/** What a step came to; `refusal` says why nothing was done. */
export interface VersionStep {
  readonly book: VersionBook;
  readonly effects: readonly VersionEffect[];
  readonly refusal?: string;
}

/** An error counts in a trial up to this many times the serving model's mean on the hold-out: a failure in the middle of it decides nothing. */
const ERROR_CUT = 8;

/**
 * One step of a task's models on one device. The first model serves at once; each later one is tried beside it. While one is on trial the newest
 * of those that come waits, so that rounds which follow each other fast do not keep every one of them from being tried.
 *
 * @param atMs a label for people; nothing depends on it
 */
export function stepVersions(
  book: VersionBook,
  input: VersionInput,
  rules: CanaryRules,
  atMs: number,
): VersionStep {
  if (input.kind === "offered") return offered(book, input, rules, atMs);
  if (input.kind === "shadowed") return shadowed(book, input, rules, atMs);
  if (input.kind === "promote")
    return serveByHand(book, input.round, atMs, "promoted by hand", "retired");
  if (input.kind === "rollback") return rolledBack(book, input.round, atMs);
  if (input.kind === "unpin") return unpinned(book);
  if (input.kind === "lost") return lost(book, input.round, rules, atMs);
  const step = serveByHand(book, input.round, atMs, "pinned by hand", "retired", true);
  if (step.refusal !== undefined) return step;
  return { ...step, book: { ...step.book, pinnedRound: input.round } };
}

function unpinned(book: VersionBook): VersionStep {
  const { pinnedRound, ...rest } = book;
  if (pinnedRound === undefined) return { book, effects: [], refusal: "no version is pinned" };
  return { book: rest, effects: [] };
}

function lost(book: VersionBook, round: number, rules: CanaryRules, atMs: number): VersionStep {
  const version = book.versions.find((each) => each.round === round);
  if (version === undefined || version.state === "serving" || round === book.pinnedRound)
    return { book, effects: [], refusal: `the model of round ${round} is not there, or it serves` };
  const versions = book.versions.filter((each) => each !== version);
  const forget = { kind: "forget", version } as const;
  if (version.state !== "canary") return { book: { ...book, versions }, effects: [forget] };
  const { trial: _, ...rest } = book;
  const next = changed({ ...rest, versions }, ({ state }) => state === "waiting", "canary", atMs);
  const following = begun(next, rules, atMs);
  return { ...following, effects: [forget, ...following.effects] };
}

type Offer = Extract<VersionInput, { kind: "offered" }>;

function offered(book: VersionBook, offer: Offer, rules: CanaryRules, atMs: number): VersionStep {
  const { round, hash, holdOutError, servingHoldOutError } = offer;
  if (book.versions.some((each) => each.round === round))
    return { book, effects: [], refusal: `the model of round ${round} is known already` };
  if (!(holdOutError >= 0 && holdOutError < Number.POSITIVE_INFINITY))
    return {
      book,
      effects: [],
      refusal: `the model of round ${round} gives answers that are not finite`,
    };
  const make = (state: ModelVersion["state"]): ModelVersion => ({
    round,
    hash,
    sinceMs: atMs,
    state,
    holdOutError,
  });
  const serving = servingOf(book);
  if (serving === undefined) {
    const version = make("serving");
    return settled(added(book, version), [
      { kind: "serve", version },
      { kind: "decided", version, reason: "it is the first" },
    ]);
  }
  if (book.pinnedRound !== undefined) return settled(added(book, make("retired")), []);
  const against = servingHoldOutError ?? serving.holdOutError;
  if (isWorse(holdOutError, against, rules)) {
    const version = make("rejected");
    const reason = `its error on the hold-out is ${holdOutError}, that of round ${serving.round} ${against}`;
    return settled(added(book, version), [{ kind: "decided", version, reason }]);
  }
  if (canaryOf(book) === undefined) return begun(added(book, make("canary")), rules, atMs);
  const passedOver = changed(book, (each) => each.state === "waiting", "retired", atMs);
  return settled(added(passedOver, make("waiting")), []);
}

/** A trial begins; one of no windows is over at once. */
function begun(book: VersionBook, rules: CanaryRules, atMs: number): VersionStep {
  const canary = canaryOf(book);
  if (canary === undefined) return settled(book, [{ kind: "shadow", version: undefined }]);
  const trial = { round: canary.round, windows: 0, canaryError: 0, servingError: 0 };
  if (rules.shadowWindows === 0) return concluded({ ...book, trial }, rules, atMs);
  return settled({ ...book, trial }, [{ kind: "shadow", version: canary }]);
}

type Shadowed = Extract<VersionInput, { kind: "shadowed" }>;

function shadowed(
  book: VersionBook,
  input: Shadowed,
  rules: CanaryRules,
  atMs: number,
): VersionStep {
  const { trial } = book;
  const serving = servingOf(book);
  if (trial === undefined || serving === undefined || trial.round !== input.round)
    return { book, effects: [], refusal: `the model of round ${input.round} is not on trial` };
  const most = ERROR_CUT * Math.max(serving.holdOutError, Number.MIN_VALUE);
  const next = {
    round: trial.round,
    windows: trial.windows + 1,
    canaryError: trial.canaryError + cut(input.canaryError, most),
    servingError: trial.servingError + cut(input.servingError, most),
  };
  const noted = { ...book, trial: next };
  return next.windows < rules.shadowWindows
    ? { book: noted, effects: [] }
    : concluded(noted, rules, atMs);
}

function concluded(book: VersionBook, rules: CanaryRules, atMs: number): VersionStep {
  const { trial, ...rest } = book;
  const canary = canaryOf(book);
  if (trial === undefined || canary === undefined) return { book: rest, effects: [] };
  const { windows, canaryError, servingError } = trial;
  const isBad = isWorse(canaryError, servingError, rules);
  const reason = `over ${windows} windows its error was ${canaryError / Math.max(1, windows)}, that of the one that served ${servingError / Math.max(1, windows)}`;
  const after = isBad
    ? changed(rest, ({ state }) => state === "canary", "rejected", atMs)
    : promoted(rest, canary.round, "retired", atMs);
  const version = after.versions.find(({ round }) => round === canary.round) ?? canary;
  const effects: VersionEffect[] = [
    ...(isBad ? [] : [{ kind: "serve", version } as const]),
    { kind: "decided", version, reason },
  ];
  const next = changed(after, ({ state }) => state === "waiting", "canary", atMs);
  const following = begun(next, rules, atMs);
  return { book: following.book, effects: [...effects, ...following.effects] };
}

function rolledBack(book: VersionBook, wanted: number | undefined, atMs: number): VersionStep {
  const serving = servingOf(book);
  const before = book.versions
    .filter(({ state }) => state === "retired")
    .toSorted((a, b) => b.sinceMs - a.sinceMs || b.round - a.round)[0];
  const round = wanted ?? before?.round;
  if (serving === undefined || round === undefined)
    return { book, effects: [], refusal: "there is no version to go back to" };
  return serveByHand(
    book,
    round,
    atMs,
    `rolled back by hand from round ${serving.round}`,
    "rejected",
  );
}

function serveByHand(
  book: VersionBook,
  round: number,
  atMs: number,
  reason: string,
  formerly: "retired" | "rejected",
  isPin = false,
): VersionStep {
  const known = book.versions.find((each) => each.round === round);
  const rounds = book.versions.map((each) => each.round).join(", ");
  if (known === undefined)
    return {
      book,
      effects: [],
      refusal: `no model of round ${round} is kept, only of ${rounds || "none"}`,
    };
  if (book.pinnedRound !== undefined && book.pinnedRound !== round)
    return { book, effects: [], refusal: `round ${book.pinnedRound} is pinned: unpin it first` };
  if (known.state === "serving" && !isPin)
    return { book, effects: [], refusal: `the model of round ${round} serves already` };
  const { trial: _, ...rest } = book;
  // What was on trial beside another is no longer compared with what serves.
  const untried = changed(
    rest,
    ({ state }) => state === "canary" || state === "waiting",
    "retired",
    atMs,
  );
  const after = known.state === "serving" ? untried : promoted(untried, round, formerly, atMs);
  const version = after.versions.find((each) => each.round === round) ?? known;
  return settled(after, [
    { kind: "shadow", version: undefined },
    { kind: "serve", version },
    { kind: "decided", version, reason },
  ]);
}

function promoted(
  book: VersionBook,
  round: number,
  formerly: "retired" | "rejected",
  atMs: number,
): VersionBook {
  const retired = changed(book, ({ state }) => state === "serving", formerly, atMs);
  return changed(retired, (each) => each.round === round, "serving", atMs);
}

function changed(
  book: VersionBook,
  which: (version: ModelVersion) => boolean,
  state: ModelVersion["state"],
  sinceMs: number,
): VersionBook {
  const versions = book.versions.map((each) => (which(each) ? { ...each, state, sinceMs } : each));
  return { ...book, versions };
}

function added(book: VersionBook, version: ModelVersion): VersionBook {
  const versions = [...book.versions, version].sort((a, b) => b.round - a.round);
  return { ...book, versions };
}

/** Forgets the oldest that neither serve nor are tried. */
function settled(book: VersionBook, effects: readonly VersionEffect[]): VersionStep {
  let { versions } = book;
  const forgotten: VersionEffect[] = [];
  while (versions.length > VERSIONS_MAX) {
    const oldest = versions.findLast(({ state }) => state === "rejected" || state === "retired");
    if (oldest === undefined) break;
    versions = versions.filter((each) => each !== oldest);
    forgotten.push({ kind: "forget", version: oldest });
  }
  return { book: { ...book, versions }, effects: [...effects, ...forgotten] };
}

function isWorse(error: number, than: number, { worseShareMax }: CanaryRules): boolean {
  return error > than * (1 + worseShareMax);
}

function cut(error: number, most: number): number {
  return error >= 0 ? Math.min(error, most) : most;
}
