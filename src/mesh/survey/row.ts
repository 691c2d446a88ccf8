import type { PeerId } from "../../platform/signer.ts";
import { capabilitiesOf, healthOf } from "../fleet-agent.ts";
import type { MemberState } from "../membership/member.ts";
import type { KnownRecord } from "../records/known-record.ts";
import type { AgentCapabilities } from "../view.ts";

/** An agent as a survey keeps it: enough to show it, some 300 bytes instead of its whole record. */
export interface SurveyRow {
  readonly peerId: PeerId;
  readonly agentId: string;
  readonly version: string;
  readonly hash: number;
  readonly state: MemberState;
  /** Monotonic milliseconds, as far as the teller was told. */
  readonly heardOfAtMs: number;
  /** One object for all devices of a kind. */
  readonly capabilities: AgentCapabilities | undefined;
  readonly status: string;
  readonly powerMode: string;
  readonly batteryPercent: number | undefined;
  readonly queueUpdates: number | undefined;
  readonly uplinkUp: boolean | undefined;
}

const SHARED_MAX = 1_024;

/** Values that many agents share are held once. */
export class Shared {
  readonly #words = new Map<string, string>();
  readonly #capabilities = new Map<string, AgentCapabilities>();

  word(text: string): string {
    return once(this.#words, text, text);
  }

  capabilities(value: AgentCapabilities | undefined): AgentCapabilities | undefined {
    return value && once(this.#capabilities, JSON.stringify(value), value);
  }
}

function once<T>(kept: Map<string, T>, key: string, value: T): T {
  const known = kept.get(key);
  if (known !== undefined) return known;
  if (kept.size < SHARED_MAX) kept.set(key, value);
  return value;
}

/** @returns what is kept of a record */
export function rowOf(
  record: KnownRecord,
  state: MemberState,
  heardOfAtMs: number,
  shared: Shared,
): SurveyRow {
  const { peerId, agentId, version, hash } = record;
  const health = healthOf(record.health);
  return {
    peerId,
    agentId,
    version: shared.word(version),
    hash,
    state,
    heardOfAtMs,
    capabilities: shared.capabilities(capabilitiesOf(record.capabilities)),
    status: shared.word(health?.status ?? ""),
    powerMode: shared.word(health?.powerMode ?? ""),
    batteryPercent: health?.batteryPercent,
    queueUpdates: health?.queueUpdates,
    uplinkUp: health?.uplinkUp,
  };
}
