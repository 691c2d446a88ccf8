import type { Traffic } from "../../mesh/browser-contract.ts";
import { eventDetail, eventTitle, eventTone } from "./event-text.ts";
import { formatCount, formatDuration, formatPercent } from "./format.ts";
import type { FleetAgent, FleetCounts, MemberCounts, MemberState } from "./model.ts";
import { transportWord, withoutPeer } from "./peer-words.ts";
import type { Tone } from "./verdict.ts";

const STATE_ORDER: Readonly<Record<MemberState, number>> = {
  dead: 0,
  suspect: 1,
  alive: 2,
  left: 3,
};
const CHANGES = {
  joined: { title: "Is part of the fleet", tone: "good" },
  suspect: { title: "Does not answer", tone: "warn" },
  dead: { title: "Is dead", tone: "bad" },
  left: { title: "Said good-bye", tone: "idle" },
  back: { title: "Is back", tone: "good" },
} as const;

/** What a state is called, and how much it should stand out. */
export const STATES: Readonly<Record<MemberState, { readonly word: string; readonly tone: Tone }>> =
  {
    alive: { word: "Alive", tone: "good" },
    suspect: { word: "Suspect", tone: "warn" },
    dead: { word: "Dead", tone: "bad" },
    left: { word: "Left", tone: "idle" },
  };

/** Those in trouble first, those that left last; by name within. */
export function inFleetOrder(agents: readonly FleetAgent[]): FleetAgent[] {
  return agents.toSorted(
    (a, b) =>
      STATE_ORDER[a.state] - STATE_ORDER[b.state] ||
      a.agentId.localeCompare(b.agentId) ||
      (a.peerId ?? "").localeCompare(b.peerId ?? ""),
  );
}

/** @returns whether name, peer id, model, version or state hold the words */
export function matchesSearch(agent: FleetAgent, words: string): boolean {
  const { agentId, peerId = "", version, state, capabilities } = agent;
  const said = [agentId, peerId, version, state, capabilities?.deviceModel ?? ""];
  return said.some((text) => text.toLowerCase().includes(words.trim().toLowerCase()));
}

/** @returns `3 alive, 1 dead`; `2,040 alive, about 9,800 in all` where the agent has no room for all */
export function countWords(counts: MemberCounts & Partial<FleetCounts>): string {
  const states = ["alive", "suspect", "dead", "left"] as const;
  const shown = states.filter((state) => state === "alive" || counts[state] > 0);
  const words = shown.map((state) => `${formatCount(counts[state])} ${state}`);
  const { agents = 0, relativeError = 0 } = counts.estimated ?? {};
  if (relativeError > 0) words.push(`about ${formatCount(agents)} in all`);
  return words.join(", ");
}

/** @returns how old what is shown of an agent is, and how far it can be relied upon: `8 s old, 87 % sure` */
export function evidenceWords(
  { ageMs, confidence }: Pick<FleetAgent, "ageMs" | "confidence">,
  sinceAnswerMs: number,
): string {
  return `${formatDuration(ageMs + sinceAnswerMs)} old, ${formatPercent(100 * confidence)} sure`;
}

/** @returns what a partition score means; undefined at 0 */
export function partitionWords(score: number): string | undefined {
  if (score <= 0) return undefined;
  const share = score >= 1 ? "None of the" : `${formatPercent(Math.max(1, score * 100))} of the`;
  return score >= 1
    ? `${share} agents that were here lately can be reached: this device may be cut off.`
    : `${share} agents that were here lately cannot be reached: the network may be split.`;
}

/** One line of traffic: what happened, and the rest of it. */
export interface TrafficLine {
  readonly tone: Tone;
  readonly title: string;
  readonly detail: string;
}

/** @returns traffic in words */
export function trafficLine(item: Traffic): TrafficLine {
  switch (item.kind) {
    case "news": {
      const event = { id: 0, type: item.type, atMs: item.atMs, data: item.data };
      const omitted =
        item.leftOut === undefined ? "" : `${formatCount(item.leftOut)} others were left out`;
      return {
        tone: eventTone(event),
        title: eventTitle(event),
        detail: [eventDetail(event), omitted].filter((part) => part !== "").join(" · "),
      };
    }
    case "note":
      return { tone: "idle", title: item.text, detail: "" };
    case "linked":
      return {
        tone: "good",
        title: "Link open",
        detail: `${transportWord(item.transport)}, ${withoutPeer(item.address)}`,
      };
    case "unlinked":
      return { tone: "warn", title: "Link gone", detail: "" };
    case "member":
      return { ...CHANGES[item.change], detail: "" };
    default:
      return item satisfies never;
  }
}
