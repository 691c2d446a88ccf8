import type { PeerId } from "../../platform/signer.ts";
import type {
  Decision,
  HostRequest,
  OutgoingMessage,
  Refusal,
  RefusalKind,
  TendermintEffects,
  TendermintTimer,
} from "./effects.ts";
import type { Evidence } from "./evidence.ts";
import type { TendermintMessage } from "./messages.ts";
import type { WalEntry } from "./wal.ts";

/** Collects the effects of one input. */
export class Turn implements TendermintEffects {
  readonly persist: WalEntry[] = [];
  readonly send: OutgoingMessage[] = [];
  readonly timers: { timer: TendermintTimer; afterMs: number }[] = [];
  readonly decide: Decision[] = [];
  readonly evidence: Evidence[] = [];
  readonly requests: HostRequest[] = [];
  readonly refused: Refusal[] = [];

  refuse(from: PeerId, kind: RefusalKind): void {
    this.refused.push({ from, kind });
  }

  toAll(message: TendermintMessage): void {
    this.send.push({ to: undefined, message });
  }

  to(peer: PeerId, message: TendermintMessage): void {
    this.send.push({ to: peer, message });
  }
}
