import type { Certificate } from "../../../src/consensus/pbft/certificate.ts";
import type { PbftOptions } from "../../../src/consensus/pbft/options.ts";
import { decodeNewView } from "../../../src/consensus/pbft/view-change.ts";
import type { Vote, VoteCheck } from "../../../src/consensus/pbft/vote.ts";

/**
 * What honest replicas may say follows from what was said before; of liars it is assumed that they say anything. Quorums are
 * counted here anew: what counts in the replicas may be what is wrong.
 */
export class Justified {
  readonly #check: VoteCheck;
  readonly #options: PbftOptions;
  readonly #liars: ReadonlySet<number>;
  readonly #quorum: number;
  readonly #prepares = new Map<string, Set<number>>();
  readonly #said = new Set<string>();
  readonly #torn = new Set<number>();

  constructor(check: VoteCheck, options: PbftOptions, liars: ReadonlySet<number>) {
    this.#check = check;
    this.#options = options;
    this.#liars = liars;
    const { length } = check.group.members;
    const faultyMax = Math.floor((length - 1) / 3);
    this.#quorum = Math.ceil((length + faultyMax + 1) / 2);
  }

  /** It has on record what it never said, and may say that at any time. */
  tore(replica: number): void {
    this.#torn.add(replica);
  }

  /** An honest replica says this in a view. @param stable its low watermark when it did @param executed up to there */
  prepares(vote: Vote, stable: number, executed: number): void {
    const { kind, signer, view, sequence } = vote;
    if (kind !== "pre-prepare" && kind !== "prepare") return;
    const what = `${kind}/${signer}/${view}/${sequence}`;
    // What was accepted within the window may be supported later, when its batch comes; not what is executed.
    const isOld = sequence <= Math.min(executed, stable) && !this.#torn.has(signer);
    const isOutside = isOld || sequence > stable + this.#options.windowSize;
    if (isOutside && !this.#said.has(what))
      throw new Error(
        `watermarks: ${signer} says ${kind} for ${sequence} of ${executed} and ${stable}`,
      );
    this.#said.add(what);
    const key = keyOf(vote);
    const before = this.#prepares.get(key);
    if (before === undefined) this.#prepares.set(key, new Set([signer]));
    else before.add(signer);
  }

  /** An honest replica commits. */
  commits(vote: Vote): void {
    const { signer, view, sequence } = vote;
    if (vote.kind !== "commit") return;
    const prepared = new Set([...(this.#prepares.get(keyOf(vote)) ?? []), ...this.#liars]);
    prepared.add(signer).add(view % this.#check.group.members.length);
    if (prepared.size < this.#quorum)
      throw new Error(`prepared: ${signer} commits ${view}/${sequence} that is not`);
  }

  /** An honest replica has entered the view that this begins. */
  entered(replica: number, newView: Uint8Array): void {
    const { vote, changes = [] } = decodeNewView(newView, this.#check, this.#options) ?? {};
    const signers = new Set(changes.map((change) => change.vote.signer));
    const isGenuine = changes.every((change) => this.#check.isGenuine(change.vote));
    if (vote === undefined || signers.size < this.#quorum || !isGenuine)
      throw new Error(`new view: ${replica} enters ${vote?.view} that ${signers.size} ask for`);
  }

  /** @throws Error when it proves nothing */
  certified(certificate: Certificate): void {
    const { kind, view, sequence, digest, signatures } = certificate;
    const signers = new Set(signatures.map(({ signer }) => signer));
    const isGenuine = signatures.every((signed) =>
      this.#check.isGenuine({ kind, view, sequence, digest, ...signed }),
    );
    if (signers.size < this.#quorum || !isGenuine)
      throw new Error(`proof: the ${kind} certificate of ${sequence} proves nothing`);
  }
}

function keyOf({ view, sequence, digest }: Vote): string {
  return `${view}/${sequence}/${digest}`;
}
