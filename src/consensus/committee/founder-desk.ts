import type { Clock } from "../../platform/clock.ts";
import { toHex } from "../../platform/hex.ts";
import type { KeyValueStore } from "../../platform/key-value-store.ts";
import { Refused } from "../../platform/network.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import { GROUP_BYTES } from "../ordering/group-desk.ts";
import { quorumOf } from "../ordering/quorum.ts";
import type { FleetSight } from "./fleet-sight.ts";
import { promiseOperation } from "./founder-promise.ts";
import {
  type FounderSignature,
  type Founding,
  isSignedBy,
  makeFounding,
  readFounding,
  signFounding,
} from "./founding.ts";
import type { CommitteeQuestion, CommitteeReply } from "./message-codec.ts";
import type { Fitness } from "./next-step.ts";
import type { CommitteeOptions } from "./options.ts";
import type { KnownCommittee } from "./record.ts";

/** What a founder works with. */
export interface FounderParts {
  readonly signer: Signer;
  readonly store: KeyValueStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly options: CommitteeOptions;
  readonly sight: FleetSight;
  readonly ask: (peer: PeerId, question: CommitteeQuestion) => Promise<CommitteeReply>;
}

/**
 * How a committee begins: the coordinator asks everybody whom the roles want in it to sign the founding, and it begins when
 * all have. Nobody who has not signed can begin, and nobody who has can do so twice.
 */
export class FounderDesk {
  readonly #parts: FounderParts;
  readonly #known: () => KnownCommittee | undefined;
  readonly #fitness: (peer: PeerId) => Fitness;
  /** Whom the roles want, and since when. */
  #wanted = "";
  #wantedSinceMs = 0;
  #triedAtMs = Number.NEGATIVE_INFINITY;
  #promised: { readonly by: PeerId; readonly atMs: number } | undefined;

  /** @param known the committee that is there already @param fitness of its members */
  constructor(
    parts: FounderParts,
    known: () => KnownCommittee | undefined,
    fitness: (peer: PeerId) => Fitness,
  ) {
    this.#parts = parts;
    this.#fitness = fitness;
    this.#known = known;
  }

  /** @returns whether it is for this agent to found a committee now */
  isDue(): boolean {
    const { options, sight, clock, random } = this.#parts;
    const nowMs = clock.monotonicMs();
    const wanted = sight.wanted();
    const names = wanted.join();
    if (names !== this.#wanted) {
      this.#wanted = names;
      this.#wantedSinceMs = nowMs;
    }
    if (wanted[0] !== sight.self || wanted.length < options.foundersMin) return false;
    if (nowMs - this.#wantedSinceMs < options.foundAfterMs) return false;
    const restMs = options.retryAfterMs * (1 + random.next());
    return nowMs - this.#triedAtMs >= restMs;
  }

  /**
   * Has everybody sign a founding. @param replaces the group that can decide no more
   * @throws Refused with the reason, NetworkError
   */
  async found(replaces: string | undefined): Promise<KnownCommittee> {
    const { signer, options, sight, clock, random, ask } = this.#parts;
    this.#triedAtMs = clock.monotonicMs();
    const founders = sight.wanted();
    if (founders[0] !== sight.self)
      throw new Refused("committee.not-coordinator", "only the coordinator founds a committee");
    if (founders.length < options.foundersMin)
      throw new Refused(
        "committee.too-few",
        `${options.foundersMin} agents found a committee, the roles name ${founders.length}`,
      );
    this.#mayReplace(replaces);
    const group = toHex(random.bytes(GROUP_BYTES));
    const founding = makeFounding(signer, {
      group,
      protocol: options.protocol,
      founders,
      replaces,
    });
    const signatures = await Promise.all(
      founding.founders.map(async (founder): Promise<FounderSignature> => {
        if (founder === sight.self)
          return { founder, signature: await this.#promise(founding, sight.self) };
        const answer = await ask(founder, { case: "invitation", value: founding.bytes });
        const signature = answer.case === "signature" ? answer.value : new Uint8Array();
        const signed = { founder, signature };
        if (!isSignedBy(signer, founding, signed))
          throw new Refused("committee.unsigned", `${founder} did not sign`);
        return signed;
      }),
    );
    return { founding, signatures, changes: [], members: founding.founders };
  }

  /**
   * Gives this agent's name to a founding that another one asked for.
   * @returns the signature @throws Refused with the reason, StoreError
   */
  async sign(from: PeerId, bytes: Uint8Array): Promise<Uint8Array> {
    const { signer, options, sight, clock } = this.#parts;
    const founding = readFounding(signer, bytes);
    if (founding === undefined) throw new Refused("committee.malformed-founding", "no founding");
    const { founders, protocol, replaces } = founding;
    if (sight.wanted()[0] !== from)
      throw new Refused("committee.not-coordinator", "only the coordinator founds a committee");
    if (protocol !== options.protocol)
      throw new Refused("committee.protocol", `this agent takes part in ${options.protocol} only`);
    if (!founders.includes(sight.self) || founders.length < options.foundersMin)
      throw new Refused("committee.too-few", "there would be too few founders");
    if (founders.some((peer) => sight.fitness(peer) !== "fit"))
      throw new Refused("committee.unfit", "one of the founders can not be a member now");
    this.#mayReplace(replaces);
    const promised = this.#promised;
    // Who asks again gives the earlier one up.
    if (promised !== undefined && promised.by !== from)
      if (clock.monotonicMs() - promised.atMs < options.promiseMs)
        throw new Refused("committee.promised", "this agent has just signed another founding");
    return this.#promise(founding, from);
  }

  #mayReplace(replaces: string | undefined): void {
    const known = this.#known();
    if (known === undefined) return;
    const { founding, members } = known;
    if (founding.group !== replaces)
      throw new Refused("committee.known", "there is a committee already");
    const able = members.filter((peer) => !["gone", "lost"].includes(this.#fitness(peer))).length;
    if (able >= quorumOf(founding.protocol, members.length))
      throw new Refused("committee.alive", "the committee that is there can still decide");
  }

  async #promise(founding: Founding, by: PeerId): Promise<Uint8Array> {
    const { signer, store, clock } = this.#parts;
    this.#promised = { by, atMs: clock.monotonicMs() };
    await store.write([promiseOperation(store, founding.group)], { durable: true });
    return signFounding(signer, founding);
  }
}
