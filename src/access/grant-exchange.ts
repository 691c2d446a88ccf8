import type { Hasher } from "../platform/hasher.ts";
import { Refused } from "../platform/network.ts";
import type { PeerId, Signer } from "../platform/signer.ts";
import type {
  AccessHello,
  AccessStatements,
  SignedGrant,
  SignedRevocations,
} from "../wire/agent_mesh/v1/access_pb.ts";
import {
  decodeAccessMessage,
  encodeHello,
  encodeStatements,
  encodeWant,
  GRANTS_BYTES_MAX,
  GRANTS_MAX,
  HAVE_MAX,
  idsOf,
  portions,
  VERSIONS_MAX,
} from "./access-message.ts";
import { putNewest } from "./bounded.ts";
import type { GrantStatement } from "./grant-statement.ts";
import { shortId } from "./grant-table.ts";
import type { GrantBook } from "./grants.ts";

const EARLY_MAX = 16;
/** Answers of one peer after the other; enough for a full book. */
const ROUNDS_MAX = 80;

/** What is to be done: a message without an answer, or a request whose answer goes to `answered`. */
export interface ExchangeEffect {
  readonly kind: "send" | "ask";
  readonly to: PeerId;
  readonly payload: Uint8Array;
}

interface Neighbour {
  /** Of its hello. */
  fingerprint: bigint | undefined;
  rounds: number;
  /** Grants that it has, and that are not taken here. */
  readonly unwanted: Set<bigint>;
}

interface Parts {
  readonly book: GrantBook;
  readonly signer: Signer;
  readonly hasher: Hasher;
  /** Whether the peer may hear of others' grants. */
  readonly mayLearn: (peer: PeerId) => boolean;
  readonly offence: (peer: PeerId, kind: string) => void;
  readonly neighboursMax: number;
}

/**
 * How grants and revocations get around. On a new link both sides say hello: what they were granted, which lists they
 * have, and a fingerprint of all grants. Whoever has a later list sends it; where fingerprints differ each asks the
 * other for what it lacks. What is new is passed on to all neighbours at once. Hellos are repeated now and then.
 */
export class GrantExchange {
  readonly #parts: Parts;
  readonly #neighbours = new Map<PeerId, Neighbour>();
  /** Hellos that were faster than the news of the link. */
  readonly #early = new Map<PeerId, AccessHello>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Peers with a link. */
  neighbours(): readonly PeerId[] {
    return [...this.#neighbours.keys()];
  }

  linkUp(peer: PeerId): readonly ExchangeEffect[] {
    if (this.#neighbours.has(peer) || this.#neighbours.size >= this.#parts.neighboursMax) return [];
    this.#neighbours.set(peer, { fingerprint: undefined, rounds: 0, unwanted: new Set() });
    const early = this.#early.get(peer);
    this.#early.delete(peer);
    const effects = early === undefined ? [] : this.#onHello(peer, early);
    return [{ kind: "send", to: peer, payload: this.#hello() }, ...effects];
  }

  linkDown(peer: PeerId): void {
    this.#neighbours.delete(peer);
    this.#early.delete(peer);
  }

  /** Says hello to all neighbours again: what got lost on the way evens out. Every few minutes. */
  refresh(): readonly ExchangeEffect[] {
    const payload = this.#hello();
    for (const neighbour of this.#neighbours.values()) {
      neighbour.rounds = 0;
      // What was refused once may be welcome by now.
      neighbour.unwanted.clear();
    }
    return this.neighbours().map((to) => ({ kind: "send", to, payload }));
  }

  /** A hello or statements came. */
  message(from: PeerId, payload: Uint8Array): readonly ExchangeEffect[] {
    const body = decodeAccessMessage(payload);
    if (body?.case === "hello") return this.#onHello(from, body.value);
    if (body?.case === "statements") return this.#onStatements(from, body.value);
    this.#parts.offence(from, "malformed");
    return [];
  }

  /** A want came. @returns statements @throws Refused */
  request(from: PeerId, payload: Uint8Array): Uint8Array {
    const body = decodeAccessMessage(payload);
    if (body?.case !== "want") {
      this.#parts.offence(from, "malformed");
      throw new Refused("access.malformed", "this asks for nothing that can be told");
    }
    const { book, mayLearn } = this.#parts;
    if (!mayLearn(from))
      throw new Refused("access.denied", "grants are told to those who hold one");
    const have = idsOf(body.value);
    return encodeStatements(book.missingFrom(have, GRANTS_BYTES_MAX, GRANTS_MAX), []);
  }

  /** The answer to an `ask` came. */
  answered(from: PeerId, payload: Uint8Array): readonly ExchangeEffect[] {
    const body = decodeAccessMessage(payload);
    if (body?.case !== "statements") {
      this.#parts.offence(from, "malformed");
      return [];
    }
    const effects = this.#onStatements(from, body.value);
    // Nothing left: whatever else makes the fingerprints differ is unwanted on one of the sides.
    return body.value.grants.length === 0 ? effects : [...effects, ...this.#ask(from)];
  }

  /** Something was issued, taken back or imported here: it goes to all neighbours. */
  announce(news: {
    readonly grants?: readonly SignedGrant[];
    readonly revocations?: readonly SignedRevocations[];
  }): readonly ExchangeEffect[] {
    return this.#pass(news.grants ?? [], news.revocations ?? [], undefined);
  }

  #hello(): Uint8Array {
    const { book, signer } = this.#parts;
    const versions = book
      .lists()
      .slice(0, VERSIONS_MAX)
      .flatMap(({ issuer, version }) => {
        const issuerKey = signer.publicKeyOf(issuer);
        return issuerKey === undefined ? [] : [{ issuerKey, version }];
      });
    const credentials = book.credentials().map(({ signed }) => signed);
    return encodeHello({ credentials, versions, fingerprint: book.fingerprint });
  }

  #onHello(from: PeerId, hello: AccessHello): readonly ExchangeEffect[] {
    const { book, signer, mayLearn } = this.#parts;
    const { credentials, versions } = hello;
    const neighbour = this.#neighbours.get(from);
    const fresh = this.#takeGrants(from, credentials);
    const effects = [...this.#pass(fresh, [], from)];
    if (neighbour === undefined) {
      putNewest(this.#early, from, hello, EARLY_MAX);
      return effects;
    }
    if (!mayLearn(from)) return effects;
    neighbour.fingerprint = hello.fingerprint;
    const theirs = new Map<PeerId, bigint>();
    for (const { issuerKey, version } of versions) theirs.set(signer.peerIdOf(issuerKey), version);
    // Each may be as large as a message can be.
    for (const { issuer, version, signed } of book.lists())
      if (version > (theirs.get(issuer) ?? -1n))
        effects.push({ kind: "send", to: from, payload: encodeStatements([], [signed]) });
    return [...effects, ...this.#ask(from)];
  }

  #onStatements(from: PeerId, told: AccessStatements): readonly ExchangeEffect[] {
    const { book, offence } = this.#parts;
    const lists: SignedRevocations[] = [];
    for (const signed of told.revocations) {
      const { outcome, issuer } = book.takeRevocations(signed, `peer:${from}`);
      // An own list may have become another one by what was added to it.
      const taken = issuer === undefined ? undefined : book.listOf(issuer);
      if (outcome === "taken" && taken !== undefined) lists.push(taken.signed);
      if (outcome === "access.malformed") offence(from, "malformed");
      if (outcome === "access.forged") {
        offence(from, "forged-grant");
        break;
      }
    }
    return this.#pass(this.#takeGrants(from, told.grants), lists, from);
  }

  /** @returns those that were new. Stops at the first forgery: every further one would cost a signature check. */
  #takeGrants(from: PeerId, grants: readonly SignedGrant[]): SignedGrant[] {
    const { book, hasher, offence } = this.#parts;
    const neighbour = this.#neighbours.get(from);
    const fresh: GrantStatement[] = [];
    for (const signed of grants) {
      const outcome = book.take(signed);
      if (outcome.taken) {
        if (outcome.fresh) fresh.push(outcome.grant);
        continue;
      }
      if (outcome.code === "access.malformed" || outcome.code === "access.forged") {
        offence(from, outcome.code === "access.forged" ? "forged-grant" : "malformed");
        break;
      }
      if (neighbour !== undefined && neighbour.unwanted.size < HAVE_MAX)
        neighbour.unwanted.add(shortId(hasher.sha256Hex(signed.grant)));
    }
    book.tellReceived(fresh, `peer:${from}`);
    return fresh.map(({ signed }) => signed);
  }

  /** Asks for what is lacking, unless fingerprints say that nothing is. */
  #ask(peer: PeerId): readonly ExchangeEffect[] {
    const neighbour = this.#neighbours.get(peer);
    const { book } = this.#parts;
    if (neighbour?.fingerprint === undefined || neighbour.rounds >= ROUNDS_MAX) return [];
    if (neighbour.fingerprint === book.fingerprint) return [];
    neighbour.rounds++;
    const ids = [...book.shortIds(), ...neighbour.unwanted].slice(0, HAVE_MAX);
    return [{ kind: "ask", to: peer, payload: encodeWant(ids) }];
  }

  #pass(
    grants: readonly SignedGrant[],
    lists: readonly SignedRevocations[],
    except: PeerId | undefined,
  ): readonly ExchangeEffect[] {
    const payloads = lists.map((list) => encodeStatements([], [list]));
    for (const some of portions(grants)) payloads.push(encodeStatements(some, []));
    return [...this.#neighbours.keys()]
      .filter((peer) => peer !== except && this.#parts.mayLearn(peer))
      .flatMap((to) => payloads.map((payload) => ({ kind: "send" as const, to, payload })));
  }
}
