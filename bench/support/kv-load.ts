/**
 * Puts into, or reads from, a key-value store behind etcd's JSON gateway, in a process of its own, each client one request
 * after the other on a connection that stays: `kv-load.ts URL put|range CLIENTS SECONDS`. Prints {@link LoadResult}.
 */
import { connect } from "node:net";

/** What came of it. */
export interface LoadResult {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers that were no success. */
  readonly failed: number;
}

const KEYS = 1_000;
const VALUE_BYTES = 256;
const WARM_SHARE = 0.2;

const [url = "", kind = "put", clients, seconds] = process.argv.slice(2);
const { hostname, port } = new URL(url);
const value = Buffer.alloc(VALUE_BYTES, "agent mesh ").toString("base64");
const requests = Array.from({ length: KEYS }, (_, at) => {
  const key = Buffer.from(`key-${String(at).padStart(8, "0")}`).toString("base64");
  const body = JSON.stringify(kind === "put" ? { key, value } : { key });
  const head = [
    `POST /v3/kv/${kind} HTTP/1.1`,
    `host: ${hostname}:${port}`,
    "content-type: application/json",
    `content-length: ${body.length}`,
  ];
  return Buffer.from(`${head.join("\r\n")}\r\n\r\n${body}`);
});

const startedMs = performance.now();
const fromMs = startedMs + WARM_SHARE * 1_000 * Number(seconds);
const tookMs: number[] = [];
let failed = 0;
let next = 0;

function client(): void {
  const socket = connect(Number(port), hostname);
  socket.setNoDelay(true);
  let pending = "";
  let sentMs = 0;
  const ask = (): void => {
    sentMs = performance.now();
    socket.write(requests[next++ % KEYS] ?? "");
  };
  socket.on("data", (chunk: Buffer) => {
    pending += chunk.toString("latin1");
    const end = pending.indexOf("\r\n\r\n");
    if (end < 0) return;
    const [, length] = /content-length: (\d+)/i.exec(pending.slice(0, end + 2)) ?? [];
    if (length === undefined) throw new Error(`no length: ${pending}`);
    if (pending.length < end + 4 + Number(length)) return;
    const nowMs = performance.now();
    if (!pending.startsWith("HTTP/1.1 200")) failed++;
    else if (nowMs >= fromMs) tookMs.push(nowMs - sentMs);
    pending = "";
    ask();
  });
  socket.on("connect", ask);
}

for (let count = 0; count < Number(clients); count++) client();
setTimeout(() => {
  const measuredMs = performance.now() - fromMs;
  const sorted = Float64Array.from(tookMs).sort();
  const at = (share: number): number =>
    sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN;
  const result: LoadResult = {
    perSecond: (sorted.length * 1_000) / measuredMs,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    failed,
  };
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
}, Number(seconds) * 1_000);
