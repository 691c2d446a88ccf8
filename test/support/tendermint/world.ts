/** A network of Tendermint nodes in virtual time: liars, a bad network, crashes, and the invariants after every event. */
import type {
  TendermintEffects,
  TendermintInput,
} from "../../../src/consensus/tendermint/effects.ts";
import type { TendermintMessage } from "../../../src/consensus/tendermint/messages.ts";
import { PastDecisions } from "../../../src/consensus/tendermint/past-decisions.ts";
import { BallotVerifier } from "../../../src/consensus/tendermint/signing.ts";
import { Tendermint } from "../../../src/consensus/tendermint/tendermint.ts";
import type { ValidatorSet } from "../../../src/consensus/tendermint/validators.ts";
import { compact, type WalEntry } from "../../../src/consensus/tendermint/wal.ts";
import type { Random } from "../../../src/platform/random.ts";
import { SeededRandom } from "../../../src/platform/seeded-random.ts";
import type { PeerId, Signer } from "../../../src/platform/signer.ts";
import { EventHeap } from "../../../src/simulator/event-heap.ts";
import { plainHasher } from "../../../src/simulator/plain-hasher.ts";
import { VirtualKeys } from "../../../src/simulator/virtual-signer.ts";
import { Faults } from "../consensus/faults.ts";
import { TendermintInvariants } from "./invariants.ts";
import { Liar } from "./liar.ts";
import { Rotations } from "./rotations.ts";
import { CHAIN_MAX, INSTANCE, PART_BYTES, type WorldParts, worldOptions } from "./world-parts.ts";

/** After a write that failed. */
const RETRY_MS = 100;

interface Site {
  readonly signer: Signer;
  /** How long it takes, beside others, to wait, and for everything else. */
  readonly skew: number;
  readonly slowMs: number;
  readonly disk: WalEntry[];
  /** All decisions of this node's host. */
  readonly chain: PastDecisions;
  /** Effects that nothing was done about yet. */
  pending: { readonly effects: TendermintEffects; readonly validators: ValidatorSet }[];
  node: Tendermint | undefined;
  /** Runs so far; what belongs to an earlier one is void. */
  run: number;
  values: number;
  decided: number;
}

type Event =
  | {
      readonly kind: "message";
      readonly from: PeerId;
      readonly to: PeerId;
      readonly message: TendermintMessage;
    }
  | { readonly kind: "sync"; readonly site: Site; readonly run: number }
  | {
      readonly kind: "input";
      readonly site: Site;
      readonly run: number;
      readonly input: TendermintInput;
    }
  | { readonly kind: "restart"; readonly site: Site }
  | { readonly kind: "trouble" };

export class TendermintWorld {
  readonly invariants: TendermintInvariants;
  readonly #parts: WorldParts;
  readonly #random: Random;
  readonly #sites = new Map<PeerId, Site>();
  readonly #liars = new Map<PeerId, Liar>();
  readonly #rotations: Rotations;
  readonly #proposed = new Set<string>();
  readonly #heap = new EventHeap<Event>();
  #nowMs = 0;
  #isHealed = false;
  #sides = new Map<PeerId, number>();
  #isOneWay = false;
  readonly #faults: Faults;
  #events = 0;

  constructor(parts: WorldParts) {
    this.#parts = parts;
    this.#faults = parts.faults ?? new Faults();
    this.#random = new SeededRandom(parts.seed);
    const keys = new VirtualKeys();
    const signers = parts.powers.map((_, at) => keys.signer(`${parts.seed}/${at}`));
    const observer = keys.signer(`${parts.seed}/observer`);
    const honest = parts.powers.length - parts.liars;
    const members = signers.map(({ peerId }, at) => ({ id: peerId, power: parts.powers[at] ?? 1 }));
    this.#rotations = new Rotations(members, observer.peerId, this.#faults);
    for (const [at, signer] of [...signers.slice(0, honest), observer].entries())
      this.#sites.set(signer.peerId, {
        signer,
        skew: parts.skews?.[at] ?? 1,
        slowMs: parts.slowness?.[at] ?? 0,
        disk: [],
        chain: new PastDecisions(plainHasher, PART_BYTES, CHAIN_MAX),
        pending: [],
        node: undefined,
        run: 0,
        values: 0,
        decided: 0,
      });
    for (const signer of signers.slice(honest))
      this.#liars.set(
        signer.peerId,
        new Liar({
          signer,
          hasher: plainHasher,
          random: this.#random.fork(`liar/${signer.peerId}`),
          instance: INSTANCE,
          partBytes: PART_BYTES,
          manner: parts.manner,
          others: [...this.#sites.keys()],
          proposerAt: (height, round) => this.#rotations.proposersOf(height)?.of(round),
          newValue: (height) => this.#newValue(height, this.#random.next() < 0.5),
        }),
      );
    this.invariants = new TendermintInvariants({
      verifier: new BallotVerifier(observer, INSTANCE),
      liars: new Set(this.#liars.keys()),
      isValid,
      proposerOf: (height, round) => this.#rotations.proposersOf(height)?.of(round),
      wasProposed: (value) => this.#proposed.has(Buffer.from(value).toString("latin1")),
    });
    for (const site of this.#sites.values()) this.#boot(site);
    this.#heap.push(100, { kind: "trouble" });
  }

  /** Events so far. */
  get events(): number {
    return this.#events;
  }

  /** @returns the height that everybody honest has decided */
  get decidedByAll(): number {
    return Math.min(...[...this.#sites.values()].map(({ decided }) => decided));
  }

  get decidedByAny(): number {
    return Math.max(...this.invariants.decisions.keys(), 0);
  }

  /**
   * Rounds until everybody has proposed, with what a newcomer begins behind: who is locked on what nobody else knows of, and
   * whose vote is needed, frees the others only when its turn comes.
   */
  get roundsOfAllTurns(): number {
    return 4 * (this.#parts.powers.reduce((sum, power) => sum + power, 0) + 1);
  }

  /** The latest round that anybody honest is in. */
  get roundMax(): number {
    return Math.max(...[...this.#sites.values()].map(({ node }) => node?.state.round ?? 0));
  }

  /** Refusals of all nodes that run, by kind. */
  refusals(): Map<string, number> {
    const sums = new Map<string, number>();
    for (const { node } of this.#sites.values())
      for (const [kind, count] of node?.refusals() ?? [])
        sums.set(kind, (sums.get(kind) ?? 0) + count);
    return sums;
  }

  /** @throws Error at the first breach of an invariant */
  runFor(ms: number): void {
    const endMs = this.#nowMs + ms;
    while (this.#heap.nextMs <= endMs) this.#one();
    this.#nowMs = endMs;
  }

  /** The network is good, and everybody runs. @throws Error when `until` is not met in time */
  heal(until: () => boolean, eventsMax: number): void {
    this.#isHealed = true;
    this.#sides = new Map();
    for (const site of this.#sites.values()) if (site.node === undefined) this.#boot(site);
    for (let events = 0; !until(); events++) {
      if (events > eventsMax || this.#heap.size === 0)
        throw new Error(`liveness: no progress after ${events} events: ${this.#describe()}`);
      this.#one();
    }
  }

  #describe(): string {
    return [...this.#sites.values()]
      .map(({ node, decided }) => `${JSON.stringify(node?.state)} decided ${decided}`)
      .join("\n");
  }

  #one(): void {
    this.#nowMs = Math.max(this.#nowMs, this.#heap.nextMs);
    const event = this.#heap.pop();
    if (event === undefined) return;
    this.#events++;
    switch (event.kind) {
      case "message":
        this.#deliver(event);
        break;
      case "input":
        if (event.run === event.site.run) this.#step(event.site, event.input);
        break;
      case "sync":
        if (event.run === event.site.run) this.#sync(event.site);
        break;
      case "restart":
        if (event.site.node === undefined) this.#boot(event.site);
        break;
      case "trouble":
        if (!this.#isHealed) this.#trouble();
        break;
    }
    for (const [name, { node }] of this.#sites)
      if (node !== undefined) this.invariants.state(name, node.state);
  }

  #trouble(): void {
    const { crashes, partitions } = this.#parts;
    const sites = [...this.#sites.values()];
    const site = sites[Math.floor(this.#random.next() * sites.length)];
    const isCrash = crashes && site?.node !== undefined && this.#random.next() < 0.5;
    if (site !== undefined && this.#faults.happens("crash", isCrash)) {
      this.#crash(site);
      this.#heap.push(this.#nowMs + 1_000 * this.#random.next(), { kind: "restart", site });
    }
    if (partitions) {
      const draw = this.#random.next();
      this.#isOneWay = draw > 0.8;
      const kind = this.#isOneWay ? "one-way-partition" : "partition";
      const isWhole = !this.#faults.happens(kind, draw > 0.4);
      for (const name of [...this.#sites.keys(), ...this.#liars.keys()])
        this.#sides.set(name, isWhole ? 0 : Math.floor(2 * this.#random.next()));
    }
    this.#heap.push(this.#nowMs + 100 + 400 * this.#random.next(), { kind: "trouble" });
  }

  /** What is not synced is lost, but for the beginning of what was being written. */
  #crash(site: Site): void {
    const [torn] = site.pending;
    if (torn !== undefined) {
      const { persist } = torn.effects;
      const made = Math.floor(this.#random.next() * (persist.length + 1));
      if (this.#faults.happens("torn-write", made > 0)) site.disk.push(...persist.slice(0, made));
    }
    site.pending = [];
    site.node = undefined;
    site.run++;
  }

  #boot(site: Site): void {
    if (this.#faults.happens("snapshot", this.#random.next() < 0.3))
      site.disk.splice(0, site.disk.length, ...compact(site.disk, worldOptions.decisionsKeptMax));
    site.node = new Tendermint({
      signer: site.signer,
      hasher: plainHasher,
      options: worldOptions,
      instance: INSTANCE,
      validators: this.#rotations.first.validators.all,
      firstHeight: 1,
      log: site.disk,
    });
    this.#step(site, { kind: "start" });
  }

  #step(site: Site, input: TendermintInput): void {
    const { node } = site;
    if (node === undefined) return;
    if (input.kind === "next-height" && node.decision === undefined) return;
    const { validators } = node.rotation;
    const effects = node.step(input);
    const decidedBy = input.kind === "next-height" ? node.rotation.validators : validators;
    site.pending.push({ effects, validators: decidedBy });
    const isSlow = this.#faults.happens("slow-disk", !this.#isHealed && site.slowMs > 0);
    const syncMs = 5 * this.#random.next() + (isSlow ? site.slowMs : 0);
    this.#heap.push(this.#nowMs + syncMs, { kind: "sync", site, run: site.run });
  }

  /** Does what the oldest effects ask for: first what is to be written. */
  #sync(site: Site): void {
    const { writeFailures = 0 } = this.#parts;
    const isFailing = !this.#isHealed && writeFailures > 0 && this.#random.next() < writeFailures;
    if (this.#faults.happens("failed-write", isFailing)) {
      this.#heap.push(this.#nowMs + RETRY_MS, { kind: "sync", site, run: site.run });
      return;
    }
    const next = site.pending.shift();
    if (next === undefined) return;
    const { effects, validators } = next;
    const name = site.signer.peerId;
    site.disk.push(...effects.persist);
    this.invariants.effects(name, effects, validators);
    for (const { to, message } of effects.send) {
      const everybody = [...this.#sites.keys(), ...this.#liars.keys()];
      for (const peer of to === undefined ? everybody : [to]) this.#send(name, peer, message);
    }
    const skew = this.#faults.happens("clock-skew", site.skew !== 1) ? site.skew : 1;
    for (const { timer, afterMs } of effects.timers)
      this.#later(site, afterMs * skew, { kind: "timeout", timer });
    for (const { height, value, certificate } of effects.decide) {
      site.decided = Math.max(site.decided, height);
      site.chain.add({ value, certificate });
      this.#parts.decided?.(name, height, value);
      this.#later(site, 20 * this.#random.next(), {
        kind: "next-height",
        changes: this.#rotations.changesAfter(height),
      });
    }
    for (const request of effects.requests) {
      const { height } = request;
      const delayMs = 20 * this.#random.next();
      if (request.kind === "value")
        this.#later(site, delayMs, { ...request, value: this.#newValue(height, false) });
      else if (request.kind === "verdict")
        this.#later(site, delayMs, { ...request, isValid: isValid(request.value) });
      else this.#history(site, request.peer, height, request.parts);
    }
  }

  #history(
    site: Site,
    peer: PeerId,
    height: number,
    parts: { readonly valueId: string; readonly indexes: readonly number[] } | undefined,
  ): void {
    const name = site.signer.peerId;
    if (parts === undefined) {
      const message = site.chain.message(height);
      if (message !== undefined) this.#send(name, peer, message);
      return;
    }
    const { valueId, indexes } = parts;
    for (const part of site.chain.parts(height, valueId, indexes))
      this.#send(name, peer, { kind: "part", height, valueId, part });
  }

  #later(site: Site, afterMs: number, input: TendermintInput): void {
    this.#heap.push(this.#nowMs + afterMs, { kind: "input", site, run: site.run, input });
  }

  #send(from: PeerId, to: PeerId, message: TendermintMessage): void {
    if (from === to) return;
    const isTroubled = !this.#isHealed;
    const faults = this.#faults;
    const isTwice = faults.happens("duplication", isTroubled && this.#random.next() < 0.1);
    const slowMs = isTroubled ? (this.#sites.get(from)?.slowMs ?? 0) : 0;
    for (let copy = 0; copy < (isTwice ? 2 : 1); copy++) {
      if (faults.happens("loss", isTroubled && this.#random.next() < this.#parts.dropRate))
        continue;
      const isLate = faults.happens("delay", isTroubled && this.#random.next() < 0.1);
      const isSlow = faults.happens("slow-member", slowMs > 0);
      const delayMs = (isLate ? 2_000 : 20) * this.#random.next() + (isSlow ? slowMs : 0);
      this.#heap.push(this.#nowMs + delayMs, { kind: "message", from, to, message });
    }
  }

  #deliver({ from, to, message }: Extract<Event, { kind: "message" }>): void {
    const sides = [this.#sides.get(from) ?? 0, this.#sides.get(to) ?? 0] as const;
    if (this.#isOneWay ? sides[0] < sides[1] : sides[0] !== sides[1]) return;
    const site = this.#sites.get(to);
    if (site !== undefined) this.#step(site, { kind: "message", from, message });
    const liar = this.#liars.get(to);
    // Two that answer each other would never end.
    if (liar === undefined || this.#liars.has(from)) return;
    for (const lie of liar.hear(message))
      if (this.#faults.happens("lie", true)) this.#send(to, lie.to, lie.message);
  }

  #newValue(height: number, isBad: boolean): Uint8Array {
    const name = `${isBad ? "bad" : "good"}/${height}/${Math.floor(2 ** 40 * this.#random.next())}`;
    const text = `${name}${this.#parts.content?.() ?? ""}`;
    // Some are of several parts. What a liar makes is cut to one.
    const padded = this.#random.next() < 0.3 ? text.padEnd(3 * PART_BYTES + 7, "+") : text;
    const cut = padded.slice(0, PART_BYTES);
    this.#proposed.add(padded);
    this.#proposed.add(cut);
    return Buffer.from(padded, "latin1");
  }
}

function isValid(value: Uint8Array): boolean {
  return Buffer.from(value).toString("latin1").startsWith("good/");
}
