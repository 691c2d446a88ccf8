import { setTimeout as sleep } from "node:timers/promises";
import { type Figure, figure, median, race, rounded } from "../figure.ts";
import { type KvCluster, startEtcd, startRaft } from "../support/kv-cluster.ts";
import type { LoadResult } from "../support/kv-load.ts";
import { runTool, temporaryDirectory } from "../support/processes.ts";

const ROUNDS = 7;
const LOAD_SECONDS = 3;
const CLIENTS = [64, 256];
const PEER = "etcd 3.4 of Debian, three members";
const KILLS = 10;
/** Somebody asks again so often, whether or not it has been answered. */
const ASK_EVERY_MS = 20;
const SETTLE_MS = 1_500;
const ELECTION_MS_MAX = 2_000;

/**
 * Raft of three processes on loopback with synced writes beside etcd, both behind etcd's JSON gateway; values of 256
 * bytes, all clients at the leader.
 */
export async function* run(): AsyncGenerator<Figure> {
  using directory = temporaryDirectory();
  const ours = await startRaft(directory.path);
  const theirs = await startEtcd(directory.path);
  try {
    for (const clients of CLIENTS) {
      yield* throughput(ours, theirs, "put", clients);
      yield* throughput(ours, theirs, "range", clients);
    }
    yield* elections(ours, theirs);
  } finally {
    await ours.stop();
    await theirs.stop();
  }
}

async function* throughput(
  ours: KvCluster,
  theirs: KvCluster,
  kind: "put" | "range",
  clients: number,
): AsyncGenerator<Figure> {
  const what = kind === "put" ? "puts" : "linearizable reads";
  const results = { ours: [] as LoadResult[], theirs: [] as LoadResult[] };
  const load = async (side: "ours" | "theirs"): Promise<number> => {
    const cluster = side === "ours" ? ours : theirs;
    const url = cluster.urlOf(await cluster.leader());
    const result = (await runTool("kv-load.ts", url, kind, clients, LOAD_SECONDS)) as LoadResult;
    if (result.failed > 0) throw new Error(`${result.failed} ${what} failed at ${side}`);
    results[side].push(result);
    return result.perSecond;
  };
  const common = { suite: "consensus", peer: PEER } as const;
  yield await race({
    ...common,
    metric: `${what}, ${clients} clients`,
    unit: `${kind === "put" ? "puts" : "reads"}/s`,
    bar: { floor: 1, goal: 1.2, better: "higher" },
    rounds: ROUNDS,
    ours: () => load("ours"),
    theirs: () => load("theirs"),
  });
  for (const [name, key] of [
    ["half", "p50Ms"],
    ["99 %", "p99Ms"],
  ] as const) {
    // They were measured by the rounds above.
    const took = {
      ours: results.ours.map((each) => each[key]),
      theirs: results.theirs.map((each) => each[key]),
    };
    yield await race({
      ...common,
      metric: `${name} of ${what} within, ${clients} clients`,
      unit: "ms",
      bar: { floor: 1, goal: 0.8, better: "lower" },
      rounds: ROUNDS,
      ours: () => Promise.resolve(took.ours.shift() ?? Number.NaN),
      theirs: () => Promise.resolve(took.theirs.shift() ?? Number.NaN),
    });
  }
}

/** From the death of the leader to the first put that is accepted by somebody else. */
async function* elections(ours: KvCluster, theirs: KvCluster): AsyncGenerator<Figure> {
  const took = { ours: [] as number[], theirs: [] as number[] };
  yield await race({
    suite: "consensus",
    metric: "from SIGKILL of the leader to the first put, median",
    unit: "ms",
    peer: PEER,
    bar: { floor: 1.25, goal: 1, better: "lower" },
    rounds: KILLS,
    ours: async () => kept(took.ours, await outage(ours)),
    theirs: async () => kept(took.theirs, await outage(theirs)),
  });
  const spread = took.ours.toSorted((a, b) => a - b).map((ms) => rounded(ms));
  process.stderr.write(
    `ours ${spread.join(" ")} ms; etcd ${took.theirs
      .map((ms) => rounded(ms))
      .toSorted((a, b) => a - b)
      .join(" ")} ms\n`,
  );
  yield figure({
    suite: "consensus",
    metric: `from SIGKILL of the leader to the first put, the longest of ${KILLS}`,
    unit: "ms",
    value: spread.at(-1) ?? median(took.ours),
    bar: { floor: ELECTION_MS_MAX, goal: ELECTION_MS_MAX, better: "lower" },
  });
}

function kept(values: number[], value: number): number {
  values.push(value);
  return value;
}

async function outage(cluster: KvCluster): Promise<number> {
  const leader = await cluster.leader();
  const others = [0, 1, 2].filter((member) => member !== leader);
  await sleep(SETTLE_MS);
  const fromMs = performance.now();
  const killed = cluster.kill(leader);
  const ended = new AbortController();
  const accepted = Promise.withResolvers<number>();
  for (let asked = 0; !ended.signal.aborted; asked++) {
    const url = cluster.urlOf(others[asked % others.length] ?? 0);
    put(url, ended.signal).then(
      () => accepted.resolve(performance.now() - fromMs),
      () => undefined,
    );
    const tookMs = await Promise.race([accepted.promise, sleep(ASK_EVERY_MS)]);
    if (tookMs === undefined) continue;
    ended.abort();
    await killed;
    cluster.restart(leader);
    return tookMs;
  }
  throw new Error("nobody was asked");
}

/** @throws Error when it is not accepted */
async function put(url: string, signal: AbortSignal): Promise<void> {
  const key = Buffer.from("election").toString("base64");
  const body = JSON.stringify({ key, value: key });
  const response = await fetch(`${url}/v3/kv/put`, { method: "POST", body, signal });
  await response.arrayBuffer();
  if (!response.ok) throw new Error(`answered ${response.status}`);
}
