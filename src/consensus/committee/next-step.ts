import type { PeerId } from "../../platform/signer.ts";
import type { OrderingProtocol } from "../ordering/ordering.ts";
import { quorumOf } from "../ordering/quorum.ts";

/** Why an agent may be a member or not: `gone` is dead or has left, `unfit` is on battery, failing or saving power, `lost` has lost what it promised as a member. */
export type Fitness = "fit" | "gone" | "unfit" | "lost";

/** What a change of members follows from, as one agent sees it. */
export interface CommitteeState {
  readonly protocol: OrderingProtocol;
  /** Who votes now, sorted. */
  readonly members: readonly PeerId[];
  /** Whom the roles want in the committee, the most wanted first. */
  readonly wanted: readonly PeerId[];
  fitness(peer: PeerId): Fitness;
  /** How long a member has been as it is; 0 for one that just changed. */
  unfitForMs(peer: PeerId): number;
}

/** How soon who is replaced. Milliseconds. */
export interface ChangePatience {
  /** Of a member that can not do its part, where somebody else can. */
  readonly replaceAfterMs: number;
  /** Where nobody can: the committee gets smaller, but not before the device had time to come back. */
  readonly removeAfterMs: number;
}

/** A change by one member, and why. */
export interface DueStep {
  readonly kind: "add" | "remove";
  readonly peer: PeerId;
  readonly because: "wanted" | Exclude<Fitness, "fit">;
}

/** Committees that lack nobody: three for majorities, 3 f + 1 for f of 1 to 3. */
const WHOLE_SIZES: readonly number[] = [3, 4, 7, 10];

/** @returns how few members a committee may have */
export function membersMin(protocol: OrderingProtocol): number {
  return protocol === "raft" ? 1 : 4;
}

/**
 * Which member is to be added or removed next. Who is fit stays, whoever else may be wanted more: to change members costs
 * more than to have the second best. Who is not is replaced first and removed then, so that the committee never gets smaller
 * than it has to. Where too few are there to decide, nothing is due.
 * @returns undefined where everything may stay as it is
 */
export function nextStep(state: CommitteeState, patience: ChangePatience): DueStep | undefined {
  const { protocol, members, wanted } = state;
  const voting = members.filter((peer) => ["fit", "unfit"].includes(state.fitness(peer)));
  if (voting.length < quorumOf(protocol, members.length)) return undefined;
  const spare = wanted.find((peer) => !members.includes(peer) && state.fitness(peer) === "fit");
  const unfit = members
    .filter((peer) => state.fitness(peer) !== "fit")
    .sort((a, b) => state.unfitForMs(b) - state.unfitForMs(a));
  if (spare !== undefined && members.length < wanted.length)
    return { kind: "add", peer: spare, because: "wanted" };
  const [worst] = unfit;
  if (worst === undefined) return undefined;
  const fitness = state.fitness(worst);
  if (fitness === "fit") return undefined;
  const forMs = state.unfitForMs(worst);
  const fit = members.length - unfit.length;
  if (spare !== undefined && fit < wanted.length && forMs >= patience.replaceAfterMs)
    return { kind: "add", peer: spare, because: "wanted" };
  // The replacement is there.
  const isWhole = unfit.length === 1 && WHOLE_SIZES.includes(fit);
  if (isWhole && forMs >= patience.replaceAfterMs) return stepDown(state, worst, fitness);
  // Who has lost its promises can not come back as the member that it was.
  const removeAfterMs = fitness === "lost" ? patience.replaceAfterMs : patience.removeAfterMs;
  return forMs >= removeAfterMs ? stepDown(state, worst, fitness) : undefined;
}

/** @returns nothing where the rest could not agree on anything, or would be too few */
function stepDown(
  state: CommitteeState,
  peer: PeerId,
  because: Exclude<Fitness, "fit">,
): DueStep | undefined {
  const { protocol, members } = state;
  const rest = members.filter((one) => one !== peer);
  if (rest.length < membersMin(protocol)) return undefined;
  const fit = rest.filter((one) => state.fitness(one) === "fit").length;
  return fit >= quorumOf(protocol, rest.length) ? { kind: "remove", peer, because } : undefined;
}

/**
 * Whether a change that somebody else proposes is sound from here: by one member, and for a reason that is seen here too.
 * @returns what is wrong with it; undefined where nothing is
 */
export function faultOfStep(
  state: CommitteeState,
  step: Pick<DueStep, "kind" | "peer">,
): string | undefined {
  const { protocol, members } = state;
  const isMember = members.includes(step.peer);
  if (step.kind === "add") {
    if (isMember) return "it is a member already";
    return state.fitness(step.peer) === "fit" ? undefined : "it is not fit to be a member";
  }
  if (!isMember) return "it is no member";
  if (members.length - 1 < membersMin(protocol)) return "too few members would be left";
  return state.fitness(step.peer) === "fit" ? "it is fit to be a member" : undefined;
}
