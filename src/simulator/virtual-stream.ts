import { NetworkError } from "../platform/network.ts";
import type { LinkEnd, Space } from "./virtual-link.ts";

/** One conversation on a link: what is sent at one side comes out at the other, in order. */
export class VirtualStream<Out, In> {
  readonly #space: Space;
  readonly #end: LinkEnd;
  readonly #name: string;
  readonly #came: In[] = [];
  #other: VirtualStream<In, Out> | undefined;
  #wake: (() => void) | undefined;
  #interrupt: ((error: NetworkError) => void) | undefined;
  #closed: NetworkError | undefined;
  readonly #forget: () => void;
  #movedAtMs: number;

  constructor(space: Space, end: LinkEnd, name: string) {
    this.#space = space;
    this.#end = end;
    this.#name = name;
    this.#movedAtMs = space.clock.monotonicMs();
    this.#forget = end.onClose((error) => this.#ended(error));
  }

  /** Opens the other side. @param take hears of it there, with the stream as that side has it */
  open(idleTimeoutMs: number, take: (at: LinkEnd, other: VirtualStream<In, Out>) => void): void {
    this.watch(idleTimeoutMs);
    this.#end.transmit(this.#name, 0, (at) => {
      const other = new VirtualStream<In, Out>(this.#space, at, this.#name);
      other.#other = this;
      this.#other = other;
      take(at, other);
    });
  }

  /** Closes the stream once nothing has moved for so long. */
  watch(idleTimeoutMs: number): void {
    this.#space.at(this.#movedAtMs + idleTimeoutMs, () => {
      if (this.#closed !== undefined || !this.#end.open) return;
      const stillMs = this.#space.clock.monotonicMs() - this.#movedAtMs;
      if (stillMs < idleTimeoutMs) this.watch(idleTimeoutMs);
      else this.close(new NetworkError("network.timeout", `no progress in ${idleTimeoutMs} ms`));
    });
  }

  send(what: Out, bytes: number): void {
    if (this.#closed !== undefined) return;
    this.#movedAtMs = this.#space.clock.monotonicMs();
    this.#end.transmit(this.#name, bytes, () => {
      if (this.#other !== undefined) this.#other.#take(what);
    });
  }

  /** @returns what comes next @throws NetworkError when the stream is closed first */
  async next(): Promise<In> {
    for (;;) {
      const next = this.#came.shift();
      if (next !== undefined) return next;
      if (this.#closed !== undefined) throw this.#closed;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** @returns what `pending` gives @throws NetworkError as soon as the stream is closed */
  whileOpen<T>(pending: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#closed !== undefined) reject(this.#closed);
      this.#interrupt = reject;
      pending.then(resolve, reject);
    });
  }

  /** Ends it here at once, and at the other side when that hears of it. */
  close(error: NetworkError): void {
    if (this.#closed !== undefined) return;
    const told = new NetworkError("network.closed", "the other side ended the stream");
    this.#end.transmit(this.#name, 0, () => {
      if (this.#other !== undefined) this.#other.#ended(told);
    });
    this.#ended(error);
  }

  #take(what: In): void {
    if (this.#closed !== undefined) return;
    this.#movedAtMs = this.#space.clock.monotonicMs();
    this.#came.push(what);
    this.#turn();
  }

  #ended(error: NetworkError): void {
    this.#closed ??= error;
    this.#forget();
    this.#interrupt?.(error);
    this.#turn();
  }

  #turn(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
