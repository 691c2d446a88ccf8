import { join } from "node:path";
import { type Figure, race } from "../figure.ts";
import { MeshPair } from "../support/mesh-end.ts";
import { root } from "../support/processes.ts";

const ROUNDS = 7;
/** A transfer takes an eighth of a second and varies by a third from one to the next. */
const BULK_ROUNDS = 75;
/** Pairs that take turns with content: what the compiler made of one process is not to decide. */
const PAIRS = 3;
const REQUESTS = 20_000;
const BULK_BYTES = 50_000_000;
const OURS = "bench/support/mesh-load.ts";
const BARE = "bench/peers/bare-libp2p.ts";
const PEER = "bare js-libp2p, one kept stream, TCP, Noise, yamux";

/** Messages and content over one link, beside what libp2p alone could do; each end in a process of its own. */
export async function* run(): AsyncGenerator<Figure> {
  const pairs: MeshPair[] = [];
  const start = async (program: string): Promise<MeshPair> => {
    const pair = await MeshPair.start(join(root, program));
    pairs.push(pair);
    return pair;
  };
  const several = (program: string): Promise<MeshPair[]> =>
    Promise.all(Array.from({ length: PAIRS }, () => start(program)));
  try {
    const ours = await start(OURS);
    const bare = await start(BARE);
    for (const [how, inFlight, count] of [
      ["one after the other", 1, REQUESTS / 4],
      ["32 in flight", 32, REQUESTS],
    ] as const) {
      await ours.requestsPerSecond(count / 4, inFlight);
      await bare.requestsPerSecond(count / 4, inFlight);
      yield await race({
        suite: "mesh",
        metric: `requests of 100 bytes, ${how}`,
        unit: "requests/s",
        peer: PEER,
        bar: { floor: 0.7, goal: 0.95, better: "higher" },
        rounds: ROUNDS,
        ours: () => ours.requestsPerSecond(count, inFlight),
        theirs: () => bare.requestsPerSecond(count, inFlight),
      });
    }
    const senders = { ours: await several(OURS), bare: await several(BARE) };
    for (const digest of [false, true]) {
      const inTurn = async (who: MeshPair[]): Promise<number> => {
        const [next] = who;
        if (next === undefined) throw new Error("nobody to send");
        who.push(...who.splice(0, 1));
        return next.megabytesPerSecond(BULK_BYTES, digest);
      };
      for (let warm = 0; warm < PAIRS; warm++) {
        await inTurn(senders.ours);
        await inTurn(senders.bare);
      }
      yield await race({
        suite: "mesh",
        metric: `50 MB of content, ${digest ? "with a digest on both sides" : "as it comes, on both sides"}`,
        unit: "MB/s",
        peer: `${PEER}, raw bytes`,
        bar: { floor: 0.8, goal: 0.95, better: "higher" },
        rounds: BULK_ROUNDS,
        ours: () => inTurn(senders.ours),
        theirs: () => inTurn(senders.bare),
      });
    }
  } finally {
    await Promise.all(pairs.map((pair) => pair.stop()));
  }
}
