import type { PeerId } from "../../platform/signer.ts";
import type { Message } from "./messages.ts";
import type { PbftOptions } from "./options.ts";

/** Proposals and votes of one view. */
export type ViewMessage = Extract<Message, { kind: "pre-prepare" | "vote" }>;

interface Early {
  readonly from: PeerId;
  readonly message: ViewMessage;
}

/** Batches of which a replica's early proposals may have the bytes. */
const EARLY_BATCHES_MAX = 2;

/** Words of views that have not begun here yet: others may be there already. Bounded for each sender. */
export class EarlyMessages {
  readonly #options: PbftOptions;
  readonly #byPeer = new Map<PeerId, { early: Early[]; bytes: number }>();

  constructor(options: PbftOptions) {
    this.#options = options;
  }

  /** @returns false when the sender has too much here already */
  add(from: PeerId, message: ViewMessage): boolean {
    const bytes = message.kind === "pre-prepare" ? (message.batch?.length ?? 0) : 0;
    const kept = this.#byPeer.get(from) ?? { early: [], bytes: 0 };
    const { earlyMessagesMax, batchBytesMax } = this.#options;
    if (kept.early.length >= earlyMessagesMax) return false;
    if (kept.bytes + bytes > EARLY_BATCHES_MAX * batchBytesMax) return false;
    kept.early.push({ from, message });
    kept.bytes += bytes;
    this.#byPeer.set(from, kept);
    return true;
  }

  /** A view has begun. @returns what was said in it, by sender in order of arrival; older words are dropped */
  take(view: number): Early[] {
    const ready: Early[] = [];
    const later: Early[] = [];
    for (const { early } of this.#byPeer.values())
      for (const one of early) {
        if (one.message.vote.view === view) ready.push(one);
        if (one.message.vote.view > view) later.push(one);
      }
    this.#byPeer.clear();
    for (const { from, message } of later) this.add(from, message);
    return ready;
  }
}
