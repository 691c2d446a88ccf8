import type { PeerId } from "../../platform/signer.ts";
import type { OffenceKind, RoleChange, RoleEffects } from "./effects.ts";
import { encodeMessage, type RolesWords } from "./message-codec.ts";

/** One step in the making: its moment, and the effects so far. */
export class Turn {
  readonly nowMs: number;
  readonly changes: RoleChange[] = [];
  readonly #send: { to: PeerId; bytes: Uint8Array }[] = [];
  readonly #offences: { peer: PeerId; kind: OffenceKind }[] = [];

  constructor(nowMs: number) {
    this.nowMs = nowMs;
  }

  /** The same words for all. */
  send(to: Iterable<PeerId>, words: RolesWords): void {
    const bytes = encodeMessage(words);
    for (const peer of to) this.#send.push({ to: peer, bytes });
  }

  offence(peer: PeerId, kind: OffenceKind): void {
    this.#offences.push({ peer, kind });
  }

  effects(nextTickAtMs: number): RoleEffects {
    return { changes: this.changes, send: this.#send, offences: this.#offences, nextTickAtMs };
  }
}
