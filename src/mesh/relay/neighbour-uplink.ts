import type { Clock, Timer } from "../../platform/clock.ts";
import type { EventSink } from "../../platform/event-sink.ts";
import type { PeerId } from "../../platform/signer.ts";
import type {
  Marks,
  OutboundUpdate,
  SendOutcome,
  UplinkConnection,
  UplinkListener,
} from "../../platform/uplink-connection.ts";
import type { GuestEffect, GuestInput } from "./guest-effects.ts";
import { GuestSession, type GuestSettings } from "./guest-session.ts";
import type { Sending } from "./handed-over.ts";
import type { HostCandidate } from "./host-choice.ts";
import type { WayOut } from "./offer.ts";
import type { RelayHostStatus } from "./view.ts";

/** The mesh, as far as a guest needs it. */
export interface GuestGround extends Pick<GuestSettings, "self"> {
  /** Agents that say that they relay. */
  candidates(): Iterable<HostCandidate>;
  /** Asks another agent, over a link that is opened if there is none. @throws NetworkError */
  request(to: PeerId, bytes: Uint8Array, timeoutMs: number): Promise<Uint8Array>;
}

/** What a {@link NeighbourUplink} is made of. */
interface NeighbourParts extends Omit<GuestSettings, "self"> {
  readonly name: string;
  readonly inFlightMax: number;
  readonly clock: Clock;
  readonly events: EventSink;
}

/** What an input is, without its moment. */
type Happening = GuestInput extends infer Each
  ? Each extends GuestInput
    ? Omit<Each, "nowMs">
    : never
  : never;

/** A road out that leads through a neighbour. What is decided is decided by {@link GuestSession}; this performs it. */
export class NeighbourUplink implements UplinkConnection {
  readonly #parts: NeighbourParts;
  #ground: GuestGround | undefined;
  #session: GuestSession | undefined;
  #listener: UplinkListener | undefined;
  #up = false;
  #queued: Sending[] = [];
  #settleMarks: ((marks: Marks | undefined) => void) | undefined;
  #timer: Timer | undefined;
  #disconnects = 0;
  wireBytes = 0;

  constructor(parts: NeighbourParts) {
    this.#parts = parts;
  }

  /** The mesh is there from now on. */
  attach(ground: GuestGround): void {
    this.#ground = ground;
    this.#session = new GuestSession({ ...this.#parts, self: ground.self });
    this.#listener?.retry?.();
  }

  get leadsTo(): string {
    return `mesh:${this.#session?.status()?.agentId ?? ""}`;
  }

  get takesGuests(): boolean {
    return (this.#session?.passedMax ?? 0) > 1;
  }

  /** @returns the way that others' updates would take over it */
  get way(): Pick<WayOut, "route" | "passedMax"> {
    const session = this.#session;
    return { route: session?.status()?.route ?? [], passedMax: session?.passedMax ?? 0 };
  }

  /** @returns who relays now */
  status(): RelayHostStatus | undefined {
    const status = this.#session?.status();
    return status && { uplink: this.#parts.name, ...status };
  }

  /** An agent of the mesh says that it relays, anew or as before, or is linked now. */
  seen(candidate: HostCandidate, anew: boolean): void {
    this.#input({ kind: "seen", candidate, anew });
  }

  /** The last link to a peer is gone. */
  linkDown(peer: PeerId): void {
    this.#input({ kind: "link-down", peer });
  }

  connect(listener: UplinkListener): void {
    this.#listener = listener;
    // What comes of it is told in a later turn, as of any connection.
    queueMicrotask(() => {
      if (listener !== this.#listener) return;
      const ground = this.#ground;
      if (ground === undefined) listener.down("the mesh is not there yet");
      else this.#input({ kind: "connect", candidates: ground.candidates() });
    });
  }

  send(update: OutboundUpdate, settle: (outcome: SendOutcome) => void): void {
    if (!this.#up) return;
    this.#queued.push({ update, settle });
    if (this.#queued.length > 1) return;
    // Whatever else is sent in this turn of the event loop travels with it.
    queueMicrotask(() => {
      const sendings = this.#queued;
      this.#queued = [];
      if (sendings.length > 0) this.#input({ kind: "send", sendings });
    });
  }

  askMarks(streams: readonly string[], settle: (marks: Marks | undefined) => void): void {
    this.#settleMarks = settle;
    this.#input({ kind: "ask-marks", streams });
  }

  publishState(): void {
    // A state document is the agent's own word; its host has no way to take it back when the agent is gone.
  }

  disconnect(): Promise<void> {
    this.#listener = undefined;
    this.#disconnects++;
    this.#input({ kind: "disconnect" });
    this.#forget();
    return Promise.resolve();
  }

  #input(happening: Happening): void {
    const nowMs = this.#parts.clock.monotonicMs();
    const disconnects = this.#disconnects;
    for (const effect of this.#session?.step({ ...happening, nowMs }) ?? []) {
      this.#perform(effect);
      // Whoever heard of it hung up: the rest is of a session that is over.
      if (disconnects !== this.#disconnects) return;
    }
  }

  #perform(effect: GuestEffect): void {
    switch (effect.kind) {
      case "ask":
        void this.#ask(effect);
        break;
      case "settle":
        effect.sending.settle(effect.outcome);
        break;
      case "marks":
        this.#settleMarks?.(effect.marks);
        this.#settleMarks = undefined;
        break;
      case "chosen":
        this.#tellChosen(effect.host);
        break;
      case "up":
        this.#up = true;
        this.#listener?.up({ inFlightMax: this.#parts.inFlightMax });
        break;
      case "down":
        this.#forget();
        this.#listener?.down(effect.reason, effect.retryAfterMs);
        break;
      case "progress":
        this.#listener?.progress?.();
        break;
      case "retry":
        this.#listener?.retry?.();
        break;
      case "wake":
        this.#wake(effect.inMs);
        break;
    }
  }

  async #ask({ to, bytes, attempt, timeoutMs }: GuestEffect & { kind: "ask" }): Promise<void> {
    const ground = this.#ground;
    if (ground === undefined) return;
    this.wireBytes += bytes.length;
    try {
      const answer = await ground.request(to, bytes, timeoutMs);
      this.wireBytes += answer.length;
      this.#input({ kind: "answered", attempt, bytes: answer });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#input({ kind: "failed", attempt, reason });
    }
  }

  #tellChosen({ peer, agentId, route }: HostCandidate): void {
    const { events, name } = this.#parts;
    const hops = route.length + 1;
    events.emit("relay.host-chosen", { uplink: name, peerId: peer, agentId, hops });
  }

  #wake(inMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#parts.clock.setTimer("relay.guest", inMs, () =>
      this.#input({ kind: "tick", candidates: this.#ground?.candidates() ?? [] }),
    );
  }

  #forget(): void {
    this.#up = false;
    this.#queued = [];
    this.#settleMarks = undefined;
    this.#timer?.cancel();
  }
}
