import type { PeerId } from "../../platform/signer.ts";
import { encodeMessage, type MessageBody, type News } from "./codec.ts";
import type { MembershipEffects, OffenceKind } from "./effects.ts";
import type { MemberChange } from "./member.ts";

/** One step in the making: its moment, and the effects so far. */
export class Turn {
  readonly nowMs: number;
  readonly changes: MemberChange[] = [];
  readonly #send: { to: PeerId; bytes: Uint8Array }[] = [];
  readonly #connect: { peer: PeerId; addresses: readonly string[] }[] = [];
  readonly #disconnect: { peer: PeerId }[] = [];
  readonly #offences: { peer: PeerId; kind: OffenceKind }[] = [];

  constructor(nowMs: number) {
    this.nowMs = nowMs;
  }

  send(to: PeerId, body: MessageBody | undefined, news: readonly News[] = []): void {
    this.#send.push({ to, bytes: encodeMessage(body, news) });
  }

  connect(peer: PeerId, addresses: readonly string[]): void {
    this.#connect.push({ peer, addresses });
  }

  disconnect(peer: PeerId): void {
    this.#disconnect.push({ peer });
  }

  /** Each kind once in a step: a message full of the same is one offence. */
  offence(peer: PeerId, kind: OffenceKind): void {
    if (!this.#offences.some((known) => known.peer === peer && known.kind === kind))
      this.#offences.push({ peer, kind });
  }

  effects(nextTickAtMs: number): MembershipEffects {
    return {
      changes: this.changes,
      send: this.#send,
      connect: this.#connect,
      disconnect: this.#disconnect,
      offences: this.#offences,
      nextTickAtMs,
    };
  }
}
