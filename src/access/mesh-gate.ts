import type { Clock } from "../platform/clock.ts";
import type { NetworkGate } from "../platform/network.ts";
import type { PeerId } from "../platform/signer.ts";
import type { Denials } from "./denials.ts";
import type { GrantBook } from "./grants.ts";
import { Guests } from "./guests.ts";
import type { MeshAccessOptions } from "./mesh-access-options.ts";
import type { PeerLedger } from "./peer-ledger.ts";
import type { RateLimits } from "./rate-limits.ts";
import type { Requirements } from "./requirements.ts";
import { openPermissions, type Permission } from "./roles.ts";

/** Where grants are shown and passed on; open to whoever is not banned. */
export const ACCESS_PROTOCOL_ID = "/agent-mesh/access/1.0.0";

/** Codes with which a frame is refused. */
export type GateRefusal =
  | "access.banned"
  | "access.denied"
  | "access.expired"
  | "access.not-yet-valid"
  | "access.clock-untrusted"
  | "access.unknown-protocol"
  | "rate.limited";

interface Parts {
  readonly self: PeerId;
  readonly mode: MeshAccessOptions["mode"];
  readonly clock: Clock;
  readonly book: GrantBook;
  readonly ledger: PeerLedger;
  readonly rates: RateLimits;
  readonly requirements: Requirements;
  readonly denials: Denials;
}

const GIVEN_WHERE_OPEN: ReadonlySet<Permission> = new Set(openPermissions);
const NONE: ReadonlySet<Permission> = new Set();

/** Who may come in, and what they may say: bans first, then rates, then permissions. */
export class MeshGate implements NetworkGate {
  readonly #parts: Parts;
  readonly #given: ReadonlySet<Permission>;
  readonly #guests = new Guests();

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#given = parts.mode === "open" ? GIVEN_WHERE_OPEN : NONE;
  }

  /** Ask now and then for open links too: a grant may have ended. */
  admits(peer: PeerId): boolean {
    const { mode, clock, ledger, book } = this.#parts;
    if (ledger.isBanned(peer)) return false;
    if (mode === "open") return true;
    if (!book.standingOf(peer).live) return this.#guests.admits(peer, clock.monotonicMs());
    this.#guests.welcomed(peer);
    return true;
  }

  allows(peer: PeerId, what: string, bytes: number): GateRefusal | undefined {
    const { self, clock, ledger, rates, requirements } = this.#parts;
    if (peer === self) return undefined;
    if (ledger.isBanned(peer)) return "access.banned";
    const excess = rates.take(peer, what, bytes, clock.monotonicMs());
    if (excess !== undefined) {
      // That others were faster is not this peer's fault, nor is news of grants that comes in bursts.
      const forgiven =
        excess === "global" || (excess === "protocol" && what === ACCESS_PROTOCOL_ID);
      if (!forgiven) ledger.offence(peer, "flood");
      return "rate.limited";
    }
    if (what === ACCESS_PROTOCOL_ID) return undefined;
    const requirement = requirements.of(what);
    if (requirement === undefined) return this.#deny(peer, what, "access.unknown-protocol");
    const refusal = this.#refusalOf(peer, requirement.send);
    return refusal === undefined ? undefined : this.#deny(peer, what, refusal);
  }

  /** @returns whether messages of the topic may be sent to the peer. */
  mayReceive(peer: PeerId, topic: string): boolean {
    if (this.#parts.ledger.isBanned(peer)) return false;
    const requirement = this.#parts.requirements.of(topic);
    if (requirement === undefined) return false;
    const { receive } = requirement;
    return receive === undefined || this.#refusalOf(peer, receive) === undefined;
  }

  offence(peer: PeerId, kind: string): void {
    this.#parts.ledger.offence(peer, kind);
  }

  #refusalOf(peer: PeerId, permission: Permission): GateRefusal | undefined {
    if (this.#given.has(permission)) return undefined;
    return this.#parts.book.standingOf(peer).refusalOf(permission);
  }

  #deny(peer: PeerId, what: string, code: GateRefusal): GateRefusal {
    const { clock, ledger, denials } = this.#parts;
    ledger.offence(peer, "denied");
    denials.denied(peer, what, code, clock.monotonicMs());
    return code;
  }
}
