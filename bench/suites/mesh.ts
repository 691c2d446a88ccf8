import { join } from "node:path";
import { type Figure, race } from "../figure.ts";
import { MeshPair } from "../support/mesh-end.ts";
import { root } from "../support/processes.ts";

const ROUNDS = 7;
/** A transfer takes a third of a second, which a busy machine can spoil. */
const BULK_ROUNDS = 15;
const REQUESTS = 20_000;
const BULK_BYTES = 50_000_000;
const PEER = "bare js-libp2p, one kept stream, TCP, Noise, yamux";

/** Messages and content over one link, beside what libp2p alone could do; each end in a process of its own. */
export async function* run(): AsyncGenerator<Figure> {
  const ours = await MeshPair.start(join(root, "bench/support/mesh-load.ts"));
  const bare = await MeshPair.start(join(root, "bench/peers/bare-libp2p.ts"));
  try {
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
    for (const digest of [false, true]) {
      await ours.megabytesPerSecond(BULK_BYTES, digest);
      await bare.megabytesPerSecond(BULK_BYTES, digest);
      yield await race({
        suite: "mesh",
        metric: `50 MB of content, ${digest ? "with a digest on both sides" : "as it comes, on both sides"}`,
        unit: "MB/s",
        peer: `${PEER}, raw bytes`,
        bar: { floor: 0.8, goal: 0.95, better: "higher" },
        rounds: BULK_ROUNDS,
        ours: () => ours.megabytesPerSecond(BULK_BYTES, digest),
        theirs: () => bare.megabytesPerSecond(BULK_BYTES, digest),
      });
    }
  } finally {
    await ours.stop();
    await bare.stop();
  }
}
