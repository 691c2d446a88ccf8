import type { Clock, Timer } from "../platform/clock.ts";
import type {
  ConnectionLimits,
  Marks,
  OutboundUpdate,
  SendOutcome,
  UplinkConnection,
  UplinkListener,
} from "../platform/uplink-connection.ts";

/** State documents that are kept, newest last. */
const STATES_MAX = 1_024;

/** The far end: what it received, and how well it can be reached. */
export class VirtualReceiver {
  readonly clock: Clock;
  /** Everything in order of arrival, repeats included; nothing where `hear` takes it. */
  readonly received: OutboundUpdate[] = [];
  /** Takes what arrives. */
  readonly hear: (update: OutboundUpdate) => void;
  readonly states: string[] = [];
  limits: ConnectionLimits = { inFlightMax: 100 };
  latencyMs = 20;
  /** Decides on each update; by default everything is acknowledged. */
  verdict: (
    update: OutboundUpdate,
    owner: string,
  ) => SendOutcome | "lose-acknowledgement" | "cut-before-acknowledgement" = () => ({
    kind: "acknowledged",
  });
  /** Answers questions for marks; by default there are none. */
  marks: (streams: readonly string[], owner: string) => Marks | undefined = () => undefined;
  /** What it was told will never come: the first sequence that does, by stream. */
  readonly firsts: ReadonlyMap<string, number>[] = [];
  #reachable = true;
  readonly #cutOff = new Set<string>();
  readonly #connections = new Set<VirtualUplink>();

  constructor(clock: Clock, hear?: (update: OutboundUpdate) => void) {
    this.clock = clock;
    this.hear = hear ?? ((update) => void this.received.push(update));
  }

  get reachable(): boolean {
    return this.#reachable;
  }

  set reachable(reachable: boolean) {
    this.#reachable = reachable;
    if (!reachable) for (const connection of this.#connections) connection.cut("link is gone");
  }

  /** One sender loses its way here, or finds it again. */
  cutOff(owner: string, cut: boolean): void {
    if (!cut) {
      this.#cutOff.delete(owner);
      return;
    }
    this.#cutOff.add(owner);
    for (const connection of this.#connections)
      if (connection.owner === owner) connection.cut("link is gone");
  }

  reachableFor(owner: string): boolean {
    return this.#reachable && !this.#cutOff.has(owner);
  }

  /** @param owner whose connection it is, for {@link cutOff} */
  connect(owner = ""): VirtualUplink {
    const connection = new VirtualUplink(this, owner);
    this.#connections.add(connection);
    return connection;
  }

  publishedState(state: string): void {
    this.states.push(state);
    if (this.states.length >= 2 * STATES_MAX)
      this.states.splice(0, this.states.length - STATES_MAX);
  }

  forget(connection: VirtualUplink): void {
    this.#connections.delete(connection);
  }
}

/** {@link UplinkConnection} to a {@link VirtualReceiver}, with its latency both ways. */
export class VirtualUplink implements UplinkConnection {
  readonly #receiver: VirtualReceiver;
  readonly #timers = new Set<Timer>();
  #listener: UplinkListener | undefined;
  wireBytes = 0;
  readonly owner: string;

  constructor(receiver: VirtualReceiver, owner: string) {
    this.#receiver = receiver;
    this.owner = owner;
  }

  connect(listener: UplinkListener): void {
    this.#listener = listener;
    this.#later(() => {
      if (this.#receiver.reachableFor(this.owner)) listener.up(this.#receiver.limits);
      else this.cut("unreachable");
    });
  }

  send(update: OutboundUpdate, settle: (outcome: SendOutcome) => void): void {
    if (this.#listener === undefined) return;
    this.wireBytes += update.payload.length;
    const verdict = this.#receiver.verdict(update, this.owner);
    this.#later(() => {
      // What is refused was not taken.
      if (typeof verdict === "string" || verdict.kind === "acknowledged")
        this.#receiver.hear(update);
      if (verdict === "cut-before-acknowledgement") this.cut("connection reset");
      else if (verdict !== "lose-acknowledgement") this.#later(() => settle(verdict));
    });
  }

  askMarks(streams: readonly string[], settle: (marks: Marks | undefined) => void): void {
    this.#later(() => {
      const marks = this.#receiver.marks(streams, this.owner);
      this.#later(() => settle(marks));
    });
  }

  tellFirst(firsts: ReadonlyMap<string, number>): void {
    this.#later(() => this.#receiver.firsts.push(firsts));
  }

  publishState(state: Uint8Array): void {
    this.#receiver.publishedState(Buffer.from(state).toString("utf8"));
  }

  disconnect(): Promise<void> {
    this.#listener = undefined;
    this.#forget();
    return Promise.resolve();
  }

  /** The process is gone: nobody hears of anything any more. */
  abandon(): void {
    this.#listener = undefined;
    this.#forget();
    this.#receiver.forget(this);
  }

  /** The connection ends by itself. */
  cut(reason: string): void {
    const listener = this.#listener;
    this.#listener = undefined;
    this.#forget();
    listener?.down(reason);
  }

  #later(callback: () => void): void {
    const { clock, latencyMs } = this.#receiver;
    const timer = clock.setTimer("network", latencyMs / 2, () => {
      this.#timers.delete(timer);
      callback();
    });
    this.#timers.add(timer);
  }

  /** What was on the way is lost with the connection. */
  #forget(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }
}
