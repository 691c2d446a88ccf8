import type { Hasher } from "../../platform/hasher.ts";
import type { PeerId } from "../../platform/signer.ts";
import { type Batch, makeBatch } from "./batch.ts";
import type { Credentials } from "./credentials.ts";
import type { Group } from "./group.ts";
import type { PbftOptions } from "./options.ts";
import { type Vote, VoteCheck, type VoteKind } from "./vote.ts";

/** What all parts of one replica share: the group, the bounds, and the means to sign and to check. */
export class Self {
  readonly group: Group;
  readonly options: PbftOptions;
  readonly credentials: Credentials;
  readonly hasher: Hasher;
  readonly check: VoteCheck;
  /** Its own place in the group. */
  readonly index: number;
  readonly others: readonly PeerId[];
  /** The null request. */
  readonly nullBatch: Batch;

  /** @throws RangeError when the credentials are none of a member */
  constructor(group: Group, credentials: Credentials, hasher: Hasher, options: PbftOptions) {
    const index = group.indexOf(credentials.self);
    if (index === undefined) throw new RangeError(`${credentials.self} is no member of the group`);
    this.group = group;
    this.options = options;
    this.credentials = credentials;
    this.hasher = hasher;
    this.check = new VoteCheck(group, credentials, hasher);
    this.index = index;
    this.others = group.members.filter((peer) => peer !== credentials.self);
    this.nullBatch = makeBatch(hasher, []);
  }

  sign(kind: VoteKind, view: number, sequence: number, digest: string): Vote {
    return this.check.sign(this.credentials, this.index, { kind, view, sequence, digest });
  }

  isPrimaryOf(view: number): boolean {
    return this.group.primaryOf(view) === this.index;
  }
}
