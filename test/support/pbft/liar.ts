import { decodeBatch, makeBatch } from "../../../src/consensus/pbft/batch.ts";
import { ByteWriter } from "../../../src/consensus/pbft/bytes.ts";
import type { Credentials } from "../../../src/consensus/pbft/credentials.ts";
import type { Group } from "../../../src/consensus/pbft/group.ts";
import { encodeMessage, type Message } from "../../../src/consensus/pbft/messages.ts";
import type { PbftOptions } from "../../../src/consensus/pbft/options.ts";
import type { Request } from "../../../src/consensus/pbft/request.ts";
import {
  decodeNewView,
  decodeViewChange,
  type NewView,
  newViewContent,
  planNewView,
  type ViewChange,
  viewChangeContent,
  withVote,
} from "../../../src/consensus/pbft/view-change.ts";
import { VoteCheck, type VoteKind } from "../../../src/consensus/pbft/vote.ts";
import { nodeHasher } from "../../../src/platform/node/hasher.ts";
import type { Random } from "../../../src/platform/random.ts";

/** How a replica lies. `mixed` does all of it. */
export const LIES = [
  "silent",
  "equivocation",
  "wrong-digests",
  "view-changes",
  "replays",
  "garbage",
  "mixed",
] as const;

/** See {@link LIES}. */
export type Lie = (typeof LIES)[number];

/** What a liar is made of. */
export interface LiarParts {
  readonly lie: Lie;
  readonly index: number;
  readonly group: Group;
  readonly credentials: Credentials;
  readonly options: PbftOptions;
  readonly random: Random;
}

/** Messages of others kept to be said again. */
const MEMORY_MAX = 200;

/**
 * Turns what an honest replica would send into lies. It has one member's key and everything that was ever sent to it, and can
 * not forge the signatures of others.
 */
export class Liar {
  readonly #parts: LiarParts;
  readonly #check: VoteCheck;
  readonly #memory: Uint8Array[] = [];
  readonly #requests: Request[] = [];
  /** What it proposes to everybody alike, by view and sequence number; undefined where it does not. */
  readonly #alike = new Map<string, Uint8Array | undefined>();

  constructor(parts: LiarParts) {
    this.#parts = parts;
    this.#check = new VoteCheck(parts.group, parts.credentials, nodeHasher);
  }

  /** It hears a message. */
  hears(bytes: Uint8Array): void {
    if (this.#memory.length < MEMORY_MAX) this.#memory.push(bytes);
    else this.#memory[Math.floor(this.#parts.random.next() * MEMORY_MAX)] = bytes;
  }

  /** It hears a request. */
  knows(request: Request): void {
    if (this.#requests.length < MEMORY_MAX) this.#requests.push(request);
  }

  /** @returns what goes to one receiver instead of this message */
  says(message: Message, honest: Uint8Array): Uint8Array[] {
    const { lie, random } = this.#parts;
    const now = lie === "mixed" ? this.#pick(LIES) : lie;
    switch (now) {
      case "silent":
        return random.next() < 0.9 ? [] : [honest];
      case "equivocation":
        return this.#proposal(message, honest);
      case "wrong-digests":
        return random.next() < 0.5 ? [honest] : [this.#otherVote(message, honest)];
      case "view-changes":
        return this.#otherView(message, honest);
      case "replays":
        return this.#memory.length === 0 ? [honest] : [honest, this.#pick(this.#memory)];
      case "garbage":
        return random.next() < 0.5 ? [honest] : [this.#garbled(honest)];
      case "mixed":
        break;
    }
    return [honest];
  }

  /** Of its own, the same to all or not: what nobody notices to be two may still be what nobody asked for. */
  #proposal(message: Message, honest: Uint8Array): Uint8Array[] {
    const { random, index } = this.#parts;
    if (message.kind !== "pre-prepare" || message.vote.signer !== index) return [honest];
    const { view, sequence } = message.vote;
    const key = `${view}/${sequence}`;
    if (!this.#alike.has(key)) {
      const isAlike = random.next() < 0.5;
      this.#alike.set(key, isAlike ? this.#proposed(view, sequence) : undefined);
    }
    const alike = this.#alike.get(key);
    if (alike !== undefined) return [alike];
    return random.next() < 0.5 ? [honest] : this.#otherProposal(message, honest);
  }

  #proposed(view: number, sequence: number): Uint8Array {
    const batch = makeBatch(this.#check.hasher, this.#someRequests());
    const vote = this.#sign("pre-prepare", view, sequence, batch.digest);
    return encodeMessage({ kind: "pre-prepare", vote, batch: batch.bytes });
  }

  /** Genuine ones where nothing is to be proposed: far ahead, and of what was executed long ago. */
  #elsewhere(view: number, sequence: number): Uint8Array {
    const { random, options } = this.#parts;
    const { windowSize } = options;
    const isAhead = random.next() < 0.5;
    const by = 1 + Math.floor(random.next() * 2 * windowSize);
    const at = Math.max(1, isAhead ? sequence + windowSize + by : sequence - by);
    return this.#proposed(view, at);
  }

  #otherProposal(message: Message, honest: Uint8Array): Uint8Array[] {
    const { hasher } = this.#check;
    if (message.kind !== "pre-prepare" || message.vote.signer !== this.#parts.index)
      return [honest];
    const { view, sequence } = message.vote;
    const batch = makeBatch(hasher, this.#someRequests());
    const vote = this.#sign("pre-prepare", view, sequence, batch.digest);
    const other = encodeMessage({ kind: "pre-prepare", vote, batch: batch.bytes });
    const draw = this.#parts.random.next();
    if (draw < 0.2) return [honest, other];
    if (draw < 0.4) return [honest, this.#elsewhere(view, sequence)];
    // A batch under the name of another one.
    if (draw < 0.6) return [encodeMessage({ ...message, batch: batch.bytes })];
    return [other];
  }

  /** Genuine ones, one twice at times, or one with an operation that its client never signed. */
  #someRequests(): Request[] {
    const { random, options } = this.#parts;
    const chosen: Request[] = [];
    const count = 1 + Math.floor(random.next() * options.batchRequestsMax);
    while (chosen.length < count && this.#requests.length > 0)
      chosen.push(this.#pick(this.#requests));
    const [first] = chosen;
    if (first !== undefined && random.next() < 0.3) {
      const operation = Buffer.from("forged");
      const { client, timestamp, signature } = first;
      const writer = new ByteWriter().text(client).u53(timestamp).sized(operation);
      chosen[0] = {
        client,
        timestamp,
        operation,
        signature,
        bytes: writer.sized(signature).finish(),
      };
    }
    return chosen;
  }

  #otherVote(message: Message, honest: Uint8Array): Uint8Array {
    const { random, index, options } = this.#parts;
    if (message.kind === "decision" || message.kind === "stable") {
      const { certificate } = message;
      const signatures = certificate.signatures.map((signed) =>
        random.next() < 0.5 ? signed : { ...signed, signature: random.bytes(64) },
      );
      return encodeMessage({ ...message, certificate: { ...certificate, signatures } });
    }
    if (message.kind === "batch" && decodeBatch(message.batch, nodeHasher, options) !== undefined)
      return encodeMessage({
        ...message,
        batch: makeBatch(nodeHasher, this.#someRequests()).bytes,
      });
    if (message.kind === "chunk") return encodeMessage({ ...message, chunk: random.bytes(100) });
    if (message.kind === "manifest")
      return encodeMessage({ ...message, manifest: random.bytes(64) });
    if (message.kind !== "vote" || message.vote.signer !== index) return honest;
    const { kind, view, sequence } = message.vote;
    const digest = nodeHasher.sha256Hex(this.#pick(["one", "other"]));
    return encodeMessage({ kind: "vote", vote: this.#sign(kind, view, sequence, digest) });
  }

  #otherView(message: Message, honest: Uint8Array): Uint8Array[] {
    const { random, options } = this.#parts;
    if (message.kind === "view-change") {
      const change = decodeViewChange(message.bytes, this.#check, options);
      if (change === undefined) return [honest];
      const view = change.vote.view + (random.next() < 0.2 ? 5 : 0);
      const nothing = makeBatch(nodeHasher, []).digest;
      // Nothing was prepared; or something was that others never signed; or another state is stable.
      let { prepared, stable } = change;
      const how = random.next();
      if (how < 0.3)
        prepared = prepared.slice(0, Math.floor(random.next() * (prepared.length + 1)));
      else if (how < 0.8)
        prepared = prepared.map((certificate) => ({
          ...certificate,
          view: Math.max(certificate.view, view - 1),
          digest: random.next() < 0.5 ? nothing : nodeHasher.sha256Hex(random.bytes(4)),
          proposal: random.bytes(64),
        }));
      else stable = { ...stable, sequence: stable.sequence + options.checkpointInterval };
      const content = viewChangeContent(view, stable, prepared);
      const digest = nodeHasher.sha256Hex(content);
      const vote = this.#sign("view-change", view, stable.sequence, digest);
      return [encodeMessage({ kind: "view-change", bytes: withVote(vote, content) })];
    }
    if (message.kind === "new-view") {
      const newView = decodeNewView(message.bytes, this.#check, options);
      if (newView === undefined || newView.vote.signer !== this.#parts.index) return [honest];
      const { view, sequence } = newView.vote;
      // Too few view changes, with what follows from those; or proposals that do not follow from them.
      const isShort = random.next() < 0.5;
      const changes = isShort ? this.#fewOf(newView) : newView.changes;
      const { stable, digests } = planNewView(changes, makeBatch(nodeHasher, []).digest);
      const proposals = digests.map((digest, at) => {
        const other = isShort ? digest : makeBatch(nodeHasher, this.#someRequests()).digest;
        return this.#sign("pre-prepare", view, stable.sequence + 1 + at, other).signature;
      });
      const content = newViewContent(view, changes, proposals);
      const vote = this.#sign("new-view", view, sequence, nodeHasher.sha256Hex(content));
      return [encodeMessage({ kind: "new-view", bytes: withVote(vote, content) })];
    }
    // Keeps its own view from going on, now and then.
    return message.kind === "pre-prepare" && random.next() < 0.5 ? [] : [honest];
  }

  /** Too few view changes: some of those that claim least, or one of its own that claims nothing. */
  #fewOf({ vote, changes }: NewView): ViewChange[] {
    const { random } = this.#parts;
    const byClaims = changes.toSorted(
      (left, right) => left.prepared.length - right.prepared.length,
    );
    const few = byClaims.slice(0, Math.ceil(random.next() * (byClaims.length - 1)));
    const [first] = changes;
    if (first === undefined || random.next() < 0.3) return few;
    const { stable } = first;
    const content = viewChangeContent(vote.view, stable, []);
    const digest = nodeHasher.sha256Hex(content);
    const own = this.#sign("view-change", vote.view, stable.sequence, digest);
    return [{ vote: own, stable, prepared: [], bytes: withVote(own, content) }];
  }

  #garbled(honest: Uint8Array): Uint8Array {
    const { random } = this.#parts;
    if (random.next() < 0.3) return random.bytes(Math.floor(random.next() * 200));
    const garbled = honest.slice(0, Math.ceil(honest.length * (0.5 + random.next())));
    const at = Math.floor(random.next() * garbled.length);
    garbled[at] = (garbled[at] ?? 0) ^ (1 << Math.floor(random.next() * 8));
    return garbled;
  }

  #sign(kind: VoteKind, view: number, sequence: number, digest: string) {
    const { credentials, index } = this.#parts;
    return this.#check.sign(credentials, index, { kind, view, sequence, digest });
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#parts.random.next() * from.length)]!;
  }
}
