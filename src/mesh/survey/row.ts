import type { PeerId } from "../../platform/signer.ts";
import { capabilitiesOf, healthOf } from "../fleet-agent.ts";
import type { MemberState } from "../membership/member.ts";
import type { KnownRecord } from "../records/known-record.ts";

/** An agent as a survey keeps it: enough to show it, some 300 bytes instead of its whole record. */
export interface SurveyRow {
  readonly peerId: PeerId;
  readonly agentId: string;
  readonly version: string;
  readonly hash: number;
  readonly state: MemberState;
  /** Monotonic milliseconds, as far as the teller was told. */
  readonly heardOfAtMs: number;
  readonly deviceModel: string;
  readonly powerSupply: string;
  readonly status: string;
  readonly powerMode: string;
  readonly batteryPercent: number | undefined;
  readonly queueUpdates: number | undefined;
  readonly uplinkUp: boolean | undefined;
}

/** Values that most agents share are held once. */
export class Words {
  readonly #words = new Map<string, string>();
  static readonly wordsMax = 1_024;

  of(text: string): string {
    const known = this.#words.get(text);
    if (known !== undefined) return known;
    if (this.#words.size < Words.wordsMax) this.#words.set(text, text);
    return text;
  }
}

/** @returns what is kept of a record */
export function rowOf(
  record: KnownRecord,
  state: MemberState,
  heardOfAtMs: number,
  words: Words,
): SurveyRow {
  const { peerId, agentId, version, hash } = record;
  const capabilities = capabilitiesOf(record.capabilities);
  const health = healthOf(record.health);
  return {
    peerId,
    agentId,
    version: words.of(version),
    hash,
    state,
    heardOfAtMs,
    deviceModel: words.of(capabilities?.deviceModel ?? ""),
    powerSupply: words.of(capabilities?.powerSupply ?? "unknown"),
    status: words.of(health?.status ?? ""),
    powerMode: words.of(health?.powerMode ?? ""),
    batteryPercent: health?.batteryPercent,
    queueUpdates: health?.queueUpdates,
    uplinkUp: health?.uplinkUp,
  };
}
