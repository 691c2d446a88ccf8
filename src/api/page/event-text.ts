import { formatScore } from "./format.ts";
import type { AgentEvent } from "./model.ts";
import { directionWords, shortPeer, transportWord, withoutPeer } from "./peer-words.ts";
import type { Tone } from "./verdict.ts";

const TONES: Readonly<Record<string, Tone>> = {
  "uplink.up": "good",
  "uplink.down": "bad",
  "queue.lost": "bad",
  "uplink.took-over": "warn",
  "queue.shed": "warn",
  "queue.dead-lettered": "warn",
  "queue.store-recovered": "warn",
  "store.repaired": "bad",
  "readings.refused": "warn",
  "access.denied": "warn",
  "mesh.peer-banned": "warn",
  "mesh.peer-linked": "good",
  "mesh.peer-unlinked": "warn",
  "mesh.agent-joined": "good",
  "mesh.agent-dead": "bad",
  "mesh.agent-back": "good",
  "consensus.lost": "bad",
  "learning.failed": "bad",
  "learning.evidence": "warn",
  "learning.stream-fault": "warn",
};

const TITLES: Readonly<Record<string, string>> = {
  "agent.started": "Agent started",
  "agent.stopping": "Agent stopping",
  "power.mode-changed": "Power mode changed",
  "readings.refused": "Reading refused",
  "queue.lost": "Queued updates could not be read back",
  "queue.shed": "Updates dropped to keep the quota",
  "queue.dead-lettered": "Set aside as dead letter",
  "queue.store-recovered": "Store reopened after a failed write",
  "store.repaired": "Store was damaged and is repaired",
  "uplink.up": "Uplink up",
  "uplink.down": "Uplink down",
  "uplink.took-over": "Uplink took over",
  "uplink.command": "Command from upstream",
  "mesh.peer-linked": "Neighbour linked",
  "mesh.peer-unlinked": "Link to a neighbour gone",
  "mesh.agent-joined": "Agent joined the fleet",
  "mesh.agent-dead": "Agent is dead",
  "mesh.agent-back": "Agent is back",
  "mesh.agent-left": "Agent left the fleet",
  "roles.changed": "Roles changed",
  "consensus.founded": "Committee of the fleet is known",
  "consensus.replaced": "Another committee took its place",
  "consensus.members-changed": "Members of the committee changed",
  "consensus.leader-changed": "Leader of the committee changed",
  "consensus.seated": "Has a seat in the committee",
  "consensus.left": "Gave up the seat in the committee",
  "consensus.lost": "Lost what it had promised to the committee",
  "consensus.decided": "The committee decided",
  "task.ordered": "Task ordered",
  "task.awarded": "Task awarded",
  "task.lost": "A contractor does not finish a task",
  "task.retried": "Task is tried again",
  "task.done": "Task done",
  "task.failed": "Task failed",
  "task.cancelled": "Task cancelled",
  "task.offered": "Work on a task begins",
  "task.worked": "Work on a task ended",
  "learning.task-known": "Something new is to be learned",
  "learning.task-state": "A learning task changed",
  "learning.round": "A round of learning is decided",
  "learning.held": "Training is held",
  "learning.resumed": "Training goes on",
  "learning.failed": "Training failed",
  "learning.evidence": "An agent did not learn honestly",
  "learning.version": "Another model judges the sensors",
  "learning.stream-fault": "A sensor can not be learned from",
  "relay.guest-joined": "Relays for a neighbour",
  "relay.guest-left": "A neighbour is relayed for no more",
  "relay.refused": "A neighbour was told to come later",
  "relay.forgotten": "A neighbour is asked for its updates again",
  "relay.host-chosen": "A neighbour relays for this agent",
  "token.created": "Token created",
  "token.revoked": "Token revoked",
  "access.granted": "Grant taken in",
  "access.revoked": "Grants revoked",
  "access.denied": "Neighbour refused",
  "mesh.peer-banned": "Neighbour banned",
  "mesh.peer-unbanned": "Neighbour's ban ended",
};

const DETAIL_CHARACTERS_MAX = 200;

/** @returns how much an event should stand out. */
export function eventTone(event: AgentEvent): Tone {
  if (event.type === "learning.alert") return isRaised(event) ? "bad" : "good";
  return TONES[event.type] ?? "idle";
}

/** @returns what happened, in words; the type itself for one this page does not know yet. */
export function eventTitle(event: AgentEvent): string {
  if (event.type === "learning.alert") return isRaised(event) ? "Anomaly" : "Anomaly is over";
  return TITLES[event.type] ?? event.type;
}

function isRaised({ data }: AgentEvent): boolean {
  return data["state"] === "raised";
}

/** How some values are said; all others as `name value`. */
const SAID: Readonly<Record<string, (value: string) => string>> = {
  agentId: (value) => value,
  peerId: (value) => `node ${shortPeer(value)}`,
  transport: transportWord,
  direction: directionWords,
  address: withoutPeer,
};

/** The event's data in one line: whom it is about first, then plain values, a `reason` last. */
export function eventDetail(event: AgentEvent): string {
  if (event.type === "learning.alert") return alertDetail(event);
  const parts: string[] = [];
  let reason = "";
  const isNamed = "name" in event.data;
  for (const [name, value] of Object.entries(event.data)) {
    // Who has a name is not told by the id too, and a hash tells people nothing.
    if ((name === "task" && isNamed) || name.endsWith("Hash")) continue;
    if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean")
      continue;
    const said = SAID[name]?.(String(value)) ?? `${name} ${value}`;
    if (name === "reason" || name === "detail") reason = String(value);
    else if (name === "agentId") parts.unshift(said);
    // A name says more, and all peer ids begin alike.
    else if (name !== "peerId" || !("agentId" in event.data)) parts.push(said);
  }
  const line = [parts.join(", "), reason].filter((part) => part !== "").join(" · ");
  return line.length > DETAIL_CHARACTERS_MAX ? `${line.slice(0, DETAIL_CHARACTERS_MAX)}…` : line;
}

function alertDetail({ data }: AgentEvent): string {
  const { name, score, threshold } = data;
  if (typeof score !== "number" || typeof threshold !== "number") return String(name);
  return `${String(name)}: score ${formatScore(score)}, normal up to ${formatScore(threshold)}`;
}
