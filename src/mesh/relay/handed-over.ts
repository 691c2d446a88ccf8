import type { OutboundUpdate, SendOutcome } from "../../platform/uplink-connection.ts";
import type { RelayMark } from "../../wire/agent_mesh/v1/relay_pb.ts";
import { streamKey } from "./relayed-update.ts";

/** An update on its way through a neighbour, and who waits for it. */
export interface Sending {
  readonly update: OutboundUpdate;
  readonly settle: (outcome: SendOutcome) => void;
}

/** What has become of an update. */
export interface Settled {
  readonly sending: Sending;
  readonly outcome: SendOutcome;
}

const ACKNOWLEDGED: SendOutcome = { kind: "acknowledged" };

/** What a host has on its disk and has not yet said to have arrived, by stream, in ascending order. Pure. */
export class HandedOver {
  readonly #streams = new Map<string, Sending[]>();
  count = 0;

  add(sending: Sending): void {
    const key = streamKey(sending.update);
    const known = this.#streams.get(key);
    if (known === undefined) this.#streams.set(key, [sending]);
    else known.push(sending);
    this.count++;
  }

  /** @returns those that a mark settles, in order */
  take({ agentId, stream, settled, dead }: RelayMark): Settled[] {
    const key = streamKey({ agentId, stream });
    const waiting = this.#streams.get(key) ?? [];
    const through = Number(settled);
    const first = waiting.findIndex(({ update }) => update.sequence > through);
    const taken = waiting.splice(0, first < 0 ? waiting.length : first);
    if (waiting.length === 0) this.#streams.delete(key);
    this.count -= taken.length;
    const reasons = new Map(dead.map(({ sequence, reason }) => [Number(sequence), reason]));
    return taken.map((sending) => {
      const reason = reasons.get(sending.update.sequence);
      return { sending, outcome: reason === undefined ? ACKNOWLEDGED : refusedForGood(reason) };
    });
  }

  clear(): void {
    this.#streams.clear();
    this.count = 0;
  }
}

/** @returns the outcome of an update that will never be taken */
export function refusedForGood(reason: string): SendOutcome {
  return { kind: "refused", permanent: true, reason };
}
