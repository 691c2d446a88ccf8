import { createHash } from "node:crypto";
import {
  defaultTensorExchangeOptions,
  type TensorExchangeOptions,
  type TensorShelfOptions,
} from "../../../src/federated/tensors/options.ts";
import { TensorError } from "../../../src/federated/tensors/tensor-error.ts";
import {
  TENSORS_PROTOCOL,
  TensorExchange,
} from "../../../src/federated/tensors/tensor-exchange.ts";
import { TensorShelf } from "../../../src/federated/tensors/tensor-shelf.ts";
import { nodeHasher } from "../../../src/platform/node/hasher.ts";
import { SeededRandom } from "../../../src/platform/seeded-random.ts";
import { silentLogger } from "../../../src/platform/silent-logger.ts";
import { VirtualDisk } from "../../../src/simulator/memory-key-value-store.ts";
import { SimulatedStore } from "../../../src/simulator/simulated-store.ts";
import { VirtualClock } from "../../../src/simulator/virtual-clock.ts";
import { type EtherSettings, VirtualEther } from "../../../src/simulator/virtual-ether.ts";
import { VirtualNetwork } from "../../../src/simulator/virtual-network.ts";

const SOON = { timeoutMs: 10_000 };

/** Bounds in which a few hundred kilobytes are much. */
export const smallExchange: TensorExchangeOptions = {
  ...defaultTensorExchangeOptions,
  fetchesMax: 2,
  inFlightBytesMax: 1_000_000,
  uploadsMax: 3,
  uploadsPerPeerMax: 2,
  uploadBytesMax: 1_000_000,
  stallTimeoutMs: 5_000,
  progressBytesMin: 8_192,
};

/** @returns bytes that repeat nowhere soon, the same for one number */
export function tensor(sizeBytes: number, seed: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(sizeBytes / 4));
  for (let at = 0; at < words.length; at++) words[at] = Math.imul(at ^ seed, 2_654_435_761);
  return new Uint8Array(words.buffer).slice(0, sizeBytes);
}

export const sha256 = (bytes: Uint8Array): string =>
  createHash("sha256").update(bytes).digest("hex");

/** One run of an agent that fetches and serves tensors. */
export interface TensorAgent {
  readonly network: VirtualNetwork;
  readonly store: SimulatedStore;
  readonly shelf: TensorShelf;
  readonly exchange: TensorExchange;
}

/** What became of a fetch: the bytes, or the code of its error; undefined while it goes on. */
export interface Fetched {
  readonly by: string;
  readonly hash: string;
  bytes?: Uint8Array;
  code?: string;
  error?: unknown;
}

/** Agents on the virtual network, in virtual time, each with a disk that outlives it. */
export class TensorWorld {
  readonly clock = new VirtualClock();
  readonly ether: VirtualEther;
  readonly #agents = new Map<string, TensorAgent>();
  readonly #disks = new Map<string, VirtualDisk>();
  readonly #random: SeededRandom;
  readonly #exchange: TensorExchangeOptions;
  readonly #shelf: TensorShelfOptions;
  /** `who accused whom`. */
  readonly offences = new Set<string>();
  /** Whom to serve is asked here. */
  mayServe: (holder: string, peer: string) => boolean = () => true;
  #runs = 0;

  constructor(
    seed: string,
    over: {
      readonly ether?: Partial<EtherSettings>;
      readonly exchange?: Partial<TensorExchangeOptions>;
      readonly shelf?: TensorShelfOptions;
    } = {},
  ) {
    this.#random = new SeededRandom(seed);
    this.#exchange = { ...smallExchange, ...over.exchange };
    this.#shelf = over.shelf ?? { memoryBytesMax: 2_000_000, storeBytesMax: 4_000_000 };
    this.ether = new VirtualEther({
      clock: this.clock,
      random: this.#random.fork("ether"),
      hasher: nodeHasher,
      bytesPerMs: 1_000,
      ...over.ether,
    });
  }

  /** Starts an agent, or starts it again with what its disk has. */
  async start(name: string): Promise<TensorAgent> {
    const { clock, ether } = this;
    const random = this.#random.fork(`${name}-${this.#runs++}`);
    const disk = this.#disks.get(name) ?? new VirtualDisk();
    this.#disks.set(name, disk);
    const manners = { syncMs: [1, 20] as const, writeFailureRate: 0 };
    const store = new SimulatedStore(disk, {
      clock,
      random,
      manners,
      generation: 0,
      repairs: [],
    });
    const network = new VirtualNetwork(ether, {
      self: name,
      messageBytesMax: 65_536,
      queueBytesMax: 1_048_576,
      bulkIdleTimeoutMs: 20_000,
      gate: {
        admits: () => true,
        allows: () => undefined,
        offence: (peer) => this.offences.add(`${name} accused ${peer}`),
      },
    });
    const opening = TensorShelf.open(
      { store, hasher: nodeHasher, logger: silentLogger },
      this.#shelf,
    );
    const shelf = await this.during(opening);
    const exchange: TensorExchange = new TensorExchange(
      {
        self: name,
        network,
        reach: async (peer, question) => {
          await network.connect({ peer, addresses: [`/memory/${peer}/p2p/${peer}`] }, SOON);
          return network.request(peer, TENSORS_PROTOCOL, question, SOON);
        },
        shelf,
        hasher: nodeHasher,
        clock,
        random,
        logger: silentLogger,
        gate: { offence: (peer) => void this.offences.add(`${name} accused ${peer}`) },
        mayServe: (peer) => this.mayServe(name, peer),
      },
      this.#exchange,
    );
    const agent = { network, store, shelf, exchange };
    this.#agents.set(name, agent);
    await network.start((event) => exchange.take(event));
    return agent;
  }

  /** @returns the agent, if it runs */
  get(name: string): TensorAgent | undefined {
    return this.#agents.get(name);
  }

  /** Everybody who runs. */
  all(): TensorAgent[] {
    return [...this.#agents.values()];
  }

  /** The agent loses its power. @param noticedAfterMs until its neighbours miss their links */
  crash(name: string, noticedAfterMs: number): void {
    const agent = this.#agents.get(name);
    if (agent === undefined) return;
    this.#agents.delete(name);
    this.ether.crash(name, noticedAfterMs);
    agent.store.die(true);
  }

  /** Breaks every link of an agent. */
  cut(name: string): void {
    for (const end of this.#agents.get(name)?.network.all() ?? []) end.cut();
  }

  /** Damages part of the disk of an agent that does not run. */
  damage(name: string, at: number, share: number): void {
    this.#disks.get(name)?.damage(at, share);
  }

  disk(name: string): VirtualDisk {
    return this.#disks.get(name) ?? new VirtualDisk();
  }

  /** Begins a fetch. */
  fetch(
    by: string,
    hash: string,
    sizeBytes: number,
    holders: readonly string[],
    signal?: AbortSignal,
  ): Fetched {
    const fetched: Fetched = { by, hash };
    const agent = this.#agents.get(by);
    if (agent === undefined) return { ...fetched, code: "not running" };
    agent.exchange.fetch(hash, { sizeBytes, holders, signal }).then(
      (bytes) => (fetched.bytes = bytes),
      (error: unknown) => {
        fetched.error = error;
        fetched.code = error instanceof TensorError ? error.code : String(error);
      },
    );
    return fetched;
  }

  /** Lets time go by until the promise has settled. @throws what it rejects with, or Error after an hour */
  async during<T>(promise: Promise<T>): Promise<T> {
    const state = { isSettled: false };
    const settle = (): void => {
      state.isSettled = true;
    };
    promise.then(settle, settle);
    for (let step = 0; !state.isSettled; step++) {
      if (step > 36_000) throw new Error("waited an hour in vain");
      await this.clock.advance(step === 0 ? 0 : 100);
    }
    return promise;
  }
}
