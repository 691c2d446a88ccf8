import { generateKeyPairSync } from "node:crypto";
import type { Ordering } from "../../src/consensus/ordering/ordering.ts";
import { openTendermintOrdering } from "../../src/consensus/tendermint-member/open.ts";
import {
  defaultTendermintMemberOptions,
  type TendermintMemberOptions,
} from "../../src/consensus/tendermint-member/options.ts";
import { Ed25519Signer } from "../../src/platform/libp2p/ed25519-signer.ts";
import { nodeHasher } from "../../src/platform/node/hasher.ts";
import { SystemClock } from "../../src/platform/node/system-clock.ts";
import { SystemRandom } from "../../src/platform/node/system-random.ts";
import type { PeerId } from "../../src/platform/signer.ts";
import { silentLogger } from "../../src/platform/silent-logger.ts";
import { MemoryKeyValueStore } from "../../src/simulator/memory-key-value-store.ts";
import { GROUP, TendermintMemberWorld } from "../../test/support/tendermint-member-world.ts";
import { type Bar, type Figure, figure, median } from "../figure.ts";

const MEMBERS = [4, 7];
const RUNS = 3;
const RUN_MS = 3_000;
const VALUE_BYTES = 256;
const ANSWER = new Uint8Array();
const LOSSY = { values: 300, lossRate: 0.2, delayMs: 200 };

/** Members of one group in one process, with real signatures and disks in memory, and one in virtual time over bad links. */
export async function* run(): AsyncGenerator<Figure> {
  for (const members of MEMBERS) {
    const one = await best(members, 1, 8);
    const hundred = await best(members, 100, 800);
    const of = `n=${members} with Ed25519, in a second of one core`;
    // Larger ones are told, and held to nothing.
    const bar = (least: number): Bar => {
      const limit = members === 4 ? least : 0;
      return { floor: limit, goal: limit, better: "higher" };
    };
    yield plain(`decisions, ${of}, one value a block`, "", one, bar(150));
    yield plain(`values, ${of}, 100 a block`, "", hundred, bar(10_000));
  }
  yield* await finality();
}

const plain = (metric: string, unit: string, value: number, bar: Bar): Figure =>
  figure({ suite: "tendermint", metric, unit, value, bar });

async function best(members: number, ofBlock: number, inFlight: number): Promise<number> {
  const rates: number[] = [];
  for (let run = 0; run < RUNS; run++) rates.push(await rate(members, ofBlock, inFlight));
  return median(rates);
}

/** @returns values decided in a second of processor time, with so many under way at a time, put in at all members */
async function rate(members: number, ofBlock: number, inFlight: number): Promise<number> {
  const group = await found(members, {
    ...defaultTendermintMemberOptions,
    blockOperationsMax: ofBlock,
  });
  const value = new Uint8Array(VALUE_BYTES);
  let decided = 0;
  const over = new AbortController();
  const caller = async (at: number): Promise<void> => {
    const member = group[at % group.length];
    for (; !over.signal.aborted; decided++) await member?.submit(value, { timeoutMs: 30_000 });
  };
  const callers = Array.from({ length: inFlight }, (_, at) => caller(at));
  await new Promise((resolve) => setTimeout(resolve, RUN_MS / 3));
  const [from, used] = [decided, process.cpuUsage()];
  await new Promise((resolve) => setTimeout(resolve, RUN_MS));
  const { user, system } = process.cpuUsage(used);
  const perSecond = (1e6 * (decided - from)) / (user + system);
  over.abort();
  await Promise.all(callers);
  for (const member of group) await member.stop();
  return perSecond;
}

async function found(count: number, options: TendermintMemberOptions): Promise<Ordering[]> {
  const ears = new Map<PeerId, (from: PeerId, bytes: Uint8Array) => void>();
  const signers = Array.from({ length: count }, () => {
    const { privateKey } = generateKeyPairSync("ed25519");
    return new Ed25519Signer(privateKey.export({ type: "pkcs8", format: "pem" }).toString());
  });
  const group: Ordering[] = [];
  for (const signer of signers) {
    const member = await openTendermintOrdering(
      {
        group: GROUP,
        beginning: { kind: "found", members: signers.map(({ peerId }) => peerId) },
        machine: {
          members: nothing,
          apply: () => ANSWER,
          snapshot: () => ANSWER,
          restore: nothing,
        },
        channel: {
          listen: (take) => void ears.set(signer.peerId, take),
          send: (to, bytes) => {
            setImmediate(() => ears.get(to)?.(signer.peerId, bytes));
            return Promise.resolve();
          },
          offence: nothing,
          close: () => void ears.delete(signer.peerId),
        },
        signer,
        store: new MemoryKeyValueStore(),
        clock: new SystemClock(),
        random: new SystemRandom(),
        hasher: nodeHasher,
        logger: silentLogger,
        onChange: nothing,
        onLost: (error) => console.error(`tendermint: ${error.message}`),
      },
      options,
    );
    group.push(member);
  }
  for (const member of group) member.start();
  return group;
}

/** From the call to the answer, one value after the other, of each member in turn. */
async function finality(): Promise<readonly Figure[]> {
  const world = new TendermintMemberWorld("finality");
  await world.found(4);
  world.lossRate = LOSSY.lossRate;
  world.latencyMs = [LOSSY.delayMs, LOSSY.delayMs];
  const tookMs: number[] = [];
  for (let count = 0; count < LOSSY.values; count++) {
    const fromMs = world.clock.monotonicMs();
    await world.submit(1 + (count % 4), `value ${count}`, 60_000);
    tookMs.push(world.clock.monotonicMs() - fromMs);
  }
  tookMs.sort((one, other) => one - other);
  const at = (share: number): number => (tookMs[Math.ceil(share * tookMs.length) - 1] ?? 0) / 1_000;
  const of = `finality, n=4, 20 % loss and 200 ms delay, ${LOSSY.values} values`;
  return [
    plain(`${of}, half`, "s", at(0.5), { floor: 5, goal: 2, better: "lower" }),
    plain(`${of}, 99 %`, "s", at(0.99), { floor: 5, goal: 5, better: "lower" }),
    plain(`${of}, worst`, "s", at(1), { floor: 15, goal: 5, better: "lower" }),
  ];
}

function nothing(): void {
  // Nobody is told.
}
