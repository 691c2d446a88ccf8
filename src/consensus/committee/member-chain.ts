import type { Hasher } from "../../platform/hasher.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import { type CertifiedDecision, decodeDecision } from "../agreement/certificate.ts";
import type { MemberList } from "../agreement/member-list.ts";
import { followMembers } from "../agreement/roster-chain.ts";
import type { Founding } from "./founding.ts";
import type { ChangeFollower, KnownCommittee } from "./record.ts";

/** Follows the members of a committee from its founders on. */
export class MemberChain implements ChangeFollower {
  readonly #signer: Signer;
  readonly #hasher: Hasher;

  constructor(signer: Signer, hasher: Hasher) {
    this.#signer = signer;
    this.#hasher = hasher;
  }

  /** @returns who voted in an epoch; undefined where the record does not lead there */
  listAt({ founding, changes }: KnownCommittee, epoch: number): MemberList | undefined {
    if (epoch < 1 || epoch > changes.length + 1) return undefined;
    const members = this.follow(founding, changes.slice(0, epoch - 1));
    return members && { epoch, members };
  }

  follow(
    { group, protocol, founders }: Founding,
    changes: readonly Uint8Array[],
  ): readonly PeerId[] | undefined {
    const read: CertifiedDecision[] = [];
    for (const bytes of changes) {
      const decision = decodeDecision(this.#signer, bytes);
      // Each leads on by one, or the record would have another form each time.
      if (decision?.certificate.epoch !== read.length + 1) return undefined;
      read.push(decision);
    }
    const authority = { group, protocol, list: { epoch: 1, members: founders } };
    const { list, fault } = followMembers(authority, read, this.#signer, this.#hasher);
    return fault === undefined ? list.members : undefined;
  }
}
