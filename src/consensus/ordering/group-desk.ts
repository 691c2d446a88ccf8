import type { Clock } from "../../platform/clock.ts";
import { fromHex, toHex } from "../../platform/hex.ts";
import {
  messagesOnly,
  type Network,
  NetworkError,
  type NetworkGate,
  type Protocol,
} from "../../platform/network.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { GroupChannel } from "./ordering.ts";

/** Every message begins with its group. */
export const GROUP_BYTES = 16;

/** Who can not be reached is dialled this often at most, while there is something to say. */
const DIAL_EVERY_MS = 1_000;
const DIALLED_MAX = 1_024;

/** What a desk works with. */
export interface DeskParts {
  readonly network: Pick<Network, "serve" | "send">;
  readonly gate: Pick<NetworkGate, "offence">;
  readonly clock: Clock;
  /** Opens a link to a member. @throws Error, by rejecting */
  readonly link: (peer: PeerId) => Promise<void>;
}

/** The groups of one protocol that run on one node: who hears what, and links to whoever is spoken to. */
export class GroupDesk {
  readonly #parts: DeskParts;
  readonly #protocol: Protocol;
  readonly #groups = new Map<string, (from: PeerId, bytes: Uint8Array) => void>();
  readonly #dialledAtMs = new Map<PeerId, number>();
  #stray = 0;

  /** @throws Error when the protocol is served already */
  constructor(parts: DeskParts, protocol: Protocol) {
    this.#parts = parts;
    this.#protocol = protocol;
    parts.network.serve(protocol, {
      message: (from, bytes) => this.#take(from, bytes),
      request: messagesOnly(protocol.id),
    });
  }

  /** Messages for groups that this node has no part in. */
  get stray(): number {
    return this.#stray;
  }

  /** @param group 32 hexadecimal digits @returns what its member on this node speaks through */
  channel(group: string): GroupChannel {
    const head = fromHex(group);
    if (head.length !== GROUP_BYTES) throw new Error(`a group has ${GROUP_BYTES} bytes: ${group}`);
    return {
      listen: (take) => void this.#groups.set(group, take),
      send: (to, bytes) => this.#send(to, head, bytes),
      offence: (from, kind) => this.#parts.gate.offence(from, kind),
      close: () => void this.#groups.delete(group),
    };
  }

  async #send(to: PeerId, head: Uint8Array, bytes: Uint8Array): Promise<void> {
    const payload = new Uint8Array(GROUP_BYTES + bytes.length);
    payload.set(head);
    payload.set(bytes, GROUP_BYTES);
    try {
      await this.#parts.network.send(to, this.#protocol, payload);
    } catch (error) {
      if (error instanceof NetworkError && error.code === "network.unreachable") this.#dial(to);
      throw error;
    }
  }

  #take(from: PeerId, payload: Uint8Array): void {
    if (payload.length < GROUP_BYTES) {
      this.#parts.gate.offence(from, "malformed");
      return;
    }
    const take = this.#groups.get(toHex(payload.subarray(0, GROUP_BYTES)));
    if (take === undefined) this.#stray++;
    else take(from, payload.subarray(GROUP_BYTES));
  }

  #dial(peer: PeerId): void {
    const nowMs = this.#parts.clock.monotonicMs();
    const before = this.#dialledAtMs.get(peer) ?? Number.NEGATIVE_INFINITY;
    if (nowMs - before < DIAL_EVERY_MS) return;
    this.#dialledAtMs.delete(peer);
    this.#dialledAtMs.set(peer, nowMs);
    if (this.#dialledAtMs.size > DIALLED_MAX)
      for (const oldest of this.#dialledAtMs.keys()) {
        this.#dialledAtMs.delete(oldest);
        break;
      }
    // Whether it worked shows with the next message.
    this.#parts.link(peer).catch(() => undefined);
  }
}
