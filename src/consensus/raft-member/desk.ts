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
import type { Message } from "../raft/message.ts";
import type { RaftMember } from "./member.ts";
import { decodeMessage, encodeMessage } from "./message-codec.ts";

/** Carries what members of Raft groups say to each other. */
export const RAFT_PROTOCOL: Protocol = {
  id: "/agent-mesh/raft/1.0.0",
  // A snapshot of the largest state, or a batch of entries.
  messageBytesMax: 8 * 1_048_576,
  queueBytesMax: 16 * 1_048_576,
  requestsInFlightMax: 1,
};

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

/** The members of Raft groups that run on one node, behind one protocol: who hears what, and links to whoever is spoken to. */
export class RaftDesk {
  readonly #parts: DeskParts;
  readonly #members = new Map<string, RaftMember>();
  readonly #dialledAtMs = new Map<PeerId, number>();
  /** Messages for groups that this node has no part in, and from peers that are not who they say. */
  #stray = 0;

  constructor(parts: DeskParts) {
    this.#parts = parts;
    parts.network.serve(RAFT_PROTOCOL, {
      message: (from, bytes) => this.#take(from, bytes),
      request: messagesOnly("raft"),
    });
  }

  get stray(): number {
    return this.#stray;
  }

  /** @param group in hexadecimal digits */
  join(group: string, member: RaftMember): void {
    this.#members.set(group, member);
  }

  leave(group: string): void {
    this.#members.delete(group);
  }

  /** @returns what a member of the group speaks through */
  sender(group: string): (to: PeerId, message: Message) => Promise<void> {
    const bytes = fromHex(group);
    return async (to, message) => {
      try {
        await this.#parts.network.send(to, RAFT_PROTOCOL, encodeMessage(bytes, message));
      } catch (error) {
        if (error instanceof NetworkError && error.code === "network.unreachable") this.#dial(to);
        throw error;
      }
    };
  }

  #take(from: PeerId, bytes: Uint8Array): void {
    const heard = decodeMessage(bytes);
    if (heard === undefined) {
      this.#parts.gate.offence(from, "malformed");
      return;
    }
    const member = this.#members.get(toHex(heard.group));
    if (member?.isFrom(from, heard.message.from) === true) member.take(heard.message);
    else this.#stray++;
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
