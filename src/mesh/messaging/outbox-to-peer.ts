import { backoffMs } from "../../platform/backoff.ts";
import type { Clock, Timer } from "../../platform/clock.ts";
import { NetworkError } from "../../platform/network.ts";
import type { Random } from "../../platform/random.ts";
import type { Envelope } from "./envelope.ts";

/** Sent and not yet acknowledged. */
const WINDOW = 16;
const RETRY = { retryMinMs: 200, retryMaxMs: 5_000 };
/** Code with which the other side refuses what comes before its turn. */
export const EARLY = "mail.early";

interface Letter {
  readonly sequence: number;
  readonly payload: Uint8Array;
  readonly dueMs: number;
  readonly resolve: () => void;
  readonly reject: (error: NetworkError) => void;
}

/** What an outbox works with. */
interface OutboxParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly epoch: number;
  /** Sequence of the first message. */
  readonly firstSequence: number;
  /** Bytes that may wait. */
  readonly queueBytesMax: number;
  /** Sees to a link. @throws NetworkError */
  link(): Promise<void>;
  /** Sends one message over the link. @throws NetworkError */
  deliver(envelope: Envelope, timeoutMs: number): Promise<void>;
}

/**
 * Messages to one peer. They leave in order, several at a time, and everything from the first that was not
 * acknowledged leaves again after the way broke (go-back-N), until its own time is up.
 */
export class OutboxToPeer {
  readonly #parts: OutboxParts;
  #letters: Letter[] = [];
  #bytes = 0;
  #nextSequence: number;
  #inFlight = 0;
  /** Of the letters, how many from the front are on their way. */
  #sent = 0;
  #failures = 0;
  #retry: Timer | undefined;
  #expiry: Timer | undefined;
  #expiresAtMs = Infinity;
  #way: "unknown" | "opening" | "open" = "unknown";
  /** Changes whenever everything is sent anew, so that late failures of the last attempt count for nothing. */
  #attempt = 0;

  constructor(parts: OutboxParts) {
    this.#parts = parts;
    this.#nextSequence = parts.firstSequence;
  }

  get idle(): boolean {
    return this.#letters.length === 0;
  }

  /** Sequence of the next message. */
  get nextSequence(): number {
    return this.#nextSequence;
  }

  /**
   * @returns once the peer has taken it
   * @throws NetworkError `network.timeout` when it was not acknowledged in time, which does not mean that it never
   *   came; `network.refused`; `network.queue-full`
   */
  send(payload: Uint8Array, timeoutMs: number): Promise<void> {
    const { clock, queueBytesMax } = this.#parts;
    if (this.#letters.length > 0 && this.#bytes + payload.length > queueBytesMax)
      return Promise.reject(
        new NetworkError("network.queue-full", `${this.#bytes} bytes wait for the peer already`),
      );
    return new Promise((resolve, reject) => {
      const dueMs = clock.monotonicMs() + timeoutMs;
      this.#letters.push({ sequence: this.#nextSequence++, payload, dueMs, resolve, reject });
      this.#bytes += payload.length;
      this.#watchExpiry(dueMs);
      this.#pump();
    });
  }

  /** Everything that waits fails. */
  close(error: NetworkError): void {
    this.#attempt++;
    this.#retry?.cancel();
    this.#expiry?.cancel();
    for (const { reject } of this.#letters) reject(error);
    this.#letters = [];
    this.#bytes = 0;
  }

  /** There is a link again: no need to wait any longer. */
  linked(): void {
    if (this.#retry === undefined) return;
    this.#retry.cancel();
    this.#retry = undefined;
    this.#pump();
  }

  #pump(): void {
    if (this.#letters.length === 0 || this.#retry !== undefined) return;
    if (this.#way === "unknown") this.#open();
    if (this.#way !== "open") return;
    const oldest = this.#letters[0]?.sequence ?? 0;
    while (this.#inFlight < WINDOW) {
      const letter = this.#letters[this.#sent];
      if (letter === undefined) return;
      this.#sent++;
      this.#inFlight++;
      this.#deliver(letter, oldest);
    }
  }

  #open(): void {
    this.#way = "opening";
    const attempt = this.#attempt;
    this.#parts.link().then(
      () => {
        if (attempt !== this.#attempt) return;
        this.#way = "open";
        this.#pump();
      },
      () => this.#broke(attempt),
    );
  }

  #deliver({ sequence, payload, dueMs, ...letter }: Letter, oldest: number): void {
    const attempt = this.#attempt;
    const { clock, epoch } = this.#parts;
    const leftMs = Math.max(1, dueMs - clock.monotonicMs());
    this.#parts.deliver({ epoch, sequence, oldest, payload }, leftMs).then(
      () => {
        // However late: it is there.
        if (this.#remove(sequence)) letter.resolve();
        if (attempt !== this.#attempt) return;
        this.#inFlight--;
        this.#failures = 0;
        this.#pump();
      },
      (error: unknown) => {
        const { code, refusal } = error as NetworkError;
        const final =
          (code === "network.refused" && refusal !== EARLY) || code === "network.too-large";
        if (!final) {
          this.#broke(attempt);
          return;
        }
        if (this.#remove(sequence)) letter.reject(error as NetworkError);
        if (attempt !== this.#attempt) return;
        this.#inFlight--;
        this.#pump();
      },
    );
  }

  /** What was sent after the first that failed has to come after it again. */
  #broke(attempt: number): void {
    if (attempt !== this.#attempt) return;
    this.#attempt++;
    this.#inFlight = 0;
    this.#sent = 0;
    this.#failures++;
    this.#way = "unknown";
    const { clock, random } = this.#parts;
    const waitMs = backoffMs(this.#failures, RETRY, random);
    this.#retry = clock.setTimer("mesh.mail-retry", waitMs, () => {
      this.#retry = undefined;
      this.#pump();
    });
  }

  #remove(sequence: number): boolean {
    const at = this.#letters.findIndex((letter) => letter.sequence === sequence);
    if (at < 0) return false;
    const [letter] = this.#letters.splice(at, 1);
    if (at < this.#sent) this.#sent--;
    this.#bytes -= letter?.payload.length ?? 0;
    if (this.#letters.length === 0) {
      this.#expiry?.cancel();
      this.#expiry = undefined;
      this.#retry?.cancel();
      this.#retry = undefined;
    }
    return true;
  }

  #watchExpiry(dueMs: number): void {
    if (this.#expiry !== undefined && this.#expiresAtMs <= dueMs) return;
    this.#expiry?.cancel();
    this.#expiresAtMs = dueMs;
    const { clock } = this.#parts;
    const leftMs = Math.max(0, dueMs - clock.monotonicMs());
    this.#expiry = clock.setTimer("mesh.mail-expiry", leftMs, () => {
      this.#expiry = undefined;
      const nowMs = clock.monotonicMs();
      for (const { sequence, reject } of this.#letters.filter(({ dueMs }) => dueMs <= nowMs))
        if (this.#remove(sequence))
          reject(new NetworkError("network.timeout", "the peer did not acknowledge in time"));
      const next = this.#letters.reduce((least, { dueMs }) => Math.min(least, dueMs), Infinity);
      if (next !== Infinity) this.#watchExpiry(next);
    });
  }
}
