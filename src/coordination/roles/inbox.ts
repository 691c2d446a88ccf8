import type { RecordVerifier } from "../../mesh/records/record-verifier.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import { RolesAsk, type RolesMessage } from "../../wire/agent_mesh/v1/roles_pb.ts";
import { isNamed, TERM_GAP_MAX } from "./assignment.ts";
import { isSigned, type Renewal, readAssignment, readRenewal } from "./assignment-codec.ts";
import type { Holding } from "./holding.ts";
import type { Links } from "./links.ts";
import type { Mandate } from "./mandate.ts";
import { decodeMessage } from "./message-codec.ts";
import type { Turn } from "./turn.ts";

interface Parts {
  readonly signer: Signer;
  readonly verifier: RecordVerifier;
  readonly links: Links;
  readonly mandate: Mandate;
  readonly leaseMs: number;
}

/** Takes messages apart, and answers where the neighbour goes by something else. Every exchange ends after four words. */
export class Inbox {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Never throws; what is no message is an offence. */
  take(turn: Turn, from: PeerId, bytes: Uint8Array): void {
    const { links, signer, mandate } = this.#parts;
    if (!links.has(from)) return;
    if (!links.takes(from, turn.nowMs)) {
      turn.offence(from, "roles-flood");
      return;
    }
    const message = decodeMessage(bytes);
    const signed = message?.renewal;
    const renewal = signed === undefined ? undefined : readRenewal(signer, signed);
    if (message === undefined || (signed !== undefined && renewal === undefined)) {
      turn.offence(from, "malformed-message");
      return;
    }
    const { held } = mandate;
    if (message.ask === RolesAsk.SEND || renewal === undefined) this.#show(turn, from, false);
    else if (held !== undefined && isNamed(held.assignment, renewal))
      this.#same(turn, from, held, renewal, message);
    else if (message.assignment !== undefined) this.#offered(turn, from, renewal, message);
    else this.#strange(turn, from, renewal);
  }

  /** A neighbour goes by the same. */
  #same(
    turn: Turn,
    from: PeerId,
    held: Holding,
    renewal: Renewal,
    { ageMs, ask }: RolesMessage,
  ): void {
    const { signer, mandate } = this.#parts;
    if (renewal.number <= held.renewal.number) {
      if (renewal.number < held.renewal.number && ask === RolesAsk.COMPARE)
        turn.send([from], mandate.version(turn.nowMs));
    } else if (isSigned(signer, renewal))
      mandate.renew(turn, renewal, Math.max(held.renewedAtMs, turn.nowMs - ageMs), from);
    else turn.offence(from, "forged-renewal");
  }

  /** A neighbour goes by something else, of which only the name came. */
  #strange(turn: Turn, from: PeerId, { term, maker, resigned }: Renewal): void {
    const { mandate } = this.#parts;
    if (mandate.waiting?.maker === maker && mandate.waiting.term === term) return;
    const held = mandate.inForce(turn.nowMs)?.assignment;
    const lead = held === undefined ? 0 : held.term - term;
    if (resigned || (lead > 0 && lead <= TERM_GAP_MAX)) this.#show(turn, from, false);
    else turn.send([from], { ask: "send" });
  }

  /** A neighbour goes by something else, and here it is. */
  #offered(turn: Turn, from: PeerId, renewal: Renewal, message: RolesMessage): void {
    const { signer, verifier, mandate, leaseMs } = this.#parts;
    if (message.assignment === undefined) return;
    const assignment = readAssignment(signer, verifier, message.assignment);
    if (typeof assignment === "string") {
      turn.offence(from, assignment);
      return;
    }
    if (!isNamed(assignment, renewal) || !isSigned(signer, renewal)) {
      turn.offence(from, "forged-renewal");
      return;
    }
    const renewedAtMs = turn.nowMs - Math.min(message.ageMs, leaseMs);
    if (mandate.consider(turn, { assignment, renewal, renewedAtMs }, from)) return;
    // Whoever insists is not argued with.
    if (!message.instead) this.#show(turn, from, true);
  }

  /** Sends the assignment in force, if there is one. @param instead of one that came */
  #show(turn: Turn, to: PeerId, instead: boolean): void {
    const { mandate } = this.#parts;
    const assignment = mandate.inForce(turn.nowMs)?.assignment;
    if (assignment === undefined) return;
    turn.send([to], { ...mandate.version(turn.nowMs), assignment, instead });
  }
}
