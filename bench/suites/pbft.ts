import { generateKeyPairSync } from "node:crypto";
import type { StateMachine } from "../../src/consensus/ordering/state-machine.ts";
import { openPbftOrdering, type PbftOrdering } from "../../src/consensus/pbft-member/open.ts";
import { defaultPbftMemberOptions } from "../../src/consensus/pbft-member/options.ts";
import { Ed25519Signer } from "../../src/platform/libp2p/ed25519-signer.ts";
import { nodeHasher } from "../../src/platform/node/hasher.ts";
import { SystemClock } from "../../src/platform/node/system-clock.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import type { PeerId } from "../../src/platform/signer.ts";
import { silentLogger } from "../../src/platform/silent-logger.ts";
import { MemoryKeyValueStore } from "../../src/simulator/memory-key-value-store.ts";
import { PbftMemberWorld } from "../../test/support/pbft-member-world.ts";
import { type Bar, type Figure, figure, median, rounded } from "../figure.ts";

const VALUE_BYTES = 64;
/** Of one measurement; ours and the raw signatures take turns. */
const ROUND_MS = 1_500;
const ROUNDS = 5;
const WARM_UP_MS = 1_000;
const FINALITY_VALUES = 300;
const PATIENCE = { timeoutMs: 60_000 };

/** How much agreement costs with real signatures, and how long it takes in a bad network. */
export async function* run(): AsyncGenerator<Figure> {
  yield await throughput(4, 1, { floor: 150, goal: 300, better: "higher" });
  yield await throughput(4, 100, { floor: 10_000, goal: 20_000, better: "higher" });
  // Reported: no floor is asked of seven.
  yield await throughput(7, 1, { floor: 1, goal: 100, better: "higher" });
  yield await throughput(7, 100, { floor: 1, goal: 7_000, better: "higher" });
  yield* finality();
}

const of = (metric: string, unit: string, value: number, bar: Bar): Figure =>
  figure({ suite: "pbft", metric, unit, value, bar });

/** Answers with nothing: what is measured is the agreement. */
class Nothing implements StateMachine {
  readonly #result = new Uint8Array(0);
  members(): void {}
  apply(): Uint8Array {
    return this.#result;
  }
  snapshot(): Uint8Array {
    return this.#result;
  }
  restore(): void {}
}

function newSigner(): Ed25519Signer {
  const { privateKey } = generateKeyPairSync("ed25519");
  return new Ed25519Signer(privateKey.export({ type: "pkcs8", format: "pem" }).toString());
}

/** All members of one group in this process. */
async function group(size: number, batch: number): Promise<readonly PbftOrdering[]> {
  const signers = Array.from({ length: size }, newSigner);
  const members = signers.map(({ peerId }) => peerId);
  const listeners = new Map<PeerId, (from: PeerId, bytes: Uint8Array) => void>();
  const orderings = await Promise.all(
    signers.map((signer) =>
      openPbftOrdering(
        {
          group: "00112233445566778899aabbccddeeff",
          beginning: { kind: "found", members },
          machine: new Nothing(),
          channel: {
            listen: (take) => void listeners.set(signer.peerId, take),
            send: (to, bytes) => {
              setImmediate(() => listeners.get(to)?.(signer.peerId, bytes));
              return Promise.resolve();
            },
            offence: (_from, kind) => {
              throw new Error(`a member says what is ${kind}`);
            },
            close: () => void listeners.delete(signer.peerId),
          },
          signer,
          store: new MemoryKeyValueStore(),
          clock: new SystemClock(),
          random: new SeededRandom(signer.peerId),
          hasher: nodeHasher,
          logger: silentLogger,
          onChange: () => undefined,
          onLost: (error) => {
            throw error;
          },
        },
        {
          // One operation is a batch, so that a batch has the size that is asked for.
          pbft: { ...defaultPbftMemberOptions.pbft, batchRequestsMax: 1 },
          operationValuesMax: batch,
        },
      ),
    ),
  );
  for (const ordering of orderings) ordering.start();
  return orderings;
}

/** Values for each second of processor time, with as many callers as keep every member busy. */
async function throughput(size: number, batch: number, bar: Bar): Promise<Figure> {
  const orderings = await group(size, batch);
  const value = new SeededRandom("value").bytes(VALUE_BYTES);
  const state = { isOver: false, decided: 0 };
  const caller = async (ordering: PbftOrdering): Promise<void> => {
    while (!state.isOver) {
      await ordering.submit(value, PATIENCE);
      state.decided++;
    }
  };
  const callers = orderings.flatMap((ordering) =>
    Array.from({ length: 2 * batch }, () => caller(ordering)),
  );
  await pause(WARM_UP_MS);
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const [before, from] = [state.decided, process.cpuUsage()];
    const batchesBefore = orderings[0]?.counters().batches ?? 0;
    await pause(ROUND_MS);
    const { user, system } = process.cpuUsage(from);
    const values = state.decided - before;
    ours.push(values / ((user + system) / 1e6));
    theirs.push(batch * signaturesRate(size));
    const batches = (orderings[0]?.counters().batches ?? 0) - batchesBefore;
    if (round === 0 && values < 0.9 * batch * batches)
      console.error(`pbft: ${rounded(values / batches)} values in a batch, not ${batch}`);
  }
  state.isOver = true;
  await Promise.all(callers);
  for (const ordering of orderings) await ordering.stop();
  const what = batch === 1 ? "decisions" : "values";
  return {
    ...of(`n=${size}, batch ${batch}, Ed25519, one core: ${what}`, "1/s", median(ours), bar),
    peer: "Ed25519 alone: the fewest signatures that prove as much",
    peerValue: rounded(median(theirs)),
    ratio: rounded(median(ours.map((value, at) => value / (theirs[at] ?? Number.NaN)))),
  };
}

/** @returns decisions for each second of processor time when nothing is done but to sign and to check */
function signaturesRate(size: number): number {
  const signer = newSigner();
  const faulty = Math.floor((size - 1) / 3);
  const quorum = Math.ceil((size + faulty + 1) / 2);
  // The request, the proposal, prepares and commits.
  const signed = 1 + 1 + (size - 1) + size;
  const prepares = quorum - 1 + (size - 1) * (quorum - 2);
  const checked = size - 1 + (size - 1) + prepares + size * (quorum - 1);
  const bytes = new Uint8Array(81);
  const purpose = "agent-mesh/pbft/vote/1";
  let decisions = 0;
  const from = process.cpuUsage();
  for (const untilMs = performance.now() + ROUND_MS / 3; performance.now() < untilMs; decisions++) {
    bytes[0] = decisions;
    let signature = signer.sign(purpose, bytes);
    for (let at = 1; at < signed; at++) signature = signer.sign(purpose, bytes);
    for (let at = 0; at < checked; at++) signer.verify(signer.publicKey, purpose, bytes, signature);
  }
  const { user, system } = process.cpuUsage(from);
  return decisions / ((user + system) / 1e6);
}

/** From submit to the answer at a member in turn, in virtual time: one message in five is lost, each takes 200 ms. */
async function* finality(): AsyncGenerator<Figure> {
  const world = new PbftMemberWorld("finality");
  world.latencyMs = [200, 200];
  world.lossRate = 0.2;
  await world.found([1, 2, 3, 4]);
  const takenMs: number[] = [];
  for (let at = 0; at < FINALITY_VALUES; at++) {
    const fromMs = world.clock.monotonicMs();
    await world.submit((at % 4) + 1, `value ${at}`, 60_000);
    takenMs.push(world.clock.monotonicMs() - fromMs);
  }
  takenMs.sort((left, right) => left - right);
  const bar: Bar = { floor: 5_000, goal: 2_500, better: "lower" };
  const where = `finality of ${FINALITY_VALUES} values, n=4, 20 % loss, 200 ms delay, virtual time`;
  const at = (share: number): number =>
    takenMs[Math.min(takenMs.length - 1, Math.floor(share * takenMs.length))] ?? Number.NaN;
  yield of(`${where}: p50`, "ms", at(0.5), bar);
  yield of(`${where}: p90`, "ms", at(0.9), bar);
  yield of(`${where}: p99`, "ms", at(0.99), bar);
  yield of(`${where}: max`, "ms", at(1), bar);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
