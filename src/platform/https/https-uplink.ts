import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { gzip, zstdCompress } from "node:zlib";
import { encodeMarksRequest, parseMarksAnswer } from "../../sync/marks-wire.ts";
import type {
  OutboundUpdate,
  SendOutcome,
  UplinkConnection,
  UplinkListener,
} from "../uplink-connection.ts";
import { hostOf, type TlsFiles } from "../wire/dial.ts";
import { type Answer, judge, type Refusal, type Verdict } from "./answer.ts";
import { LineWriter, type Written } from "./line-writer.ts";
import { Poster } from "./poster.ts";

/** Settings of one HTTPS uplink. */
export interface HttpsUplinkOptions {
  /** Without query; batches are posted there, questions for marks to `{url}/marks`. */
  readonly url: string;
  readonly agentId: string;
  /** Reads the bearer token, at each connection. @throws Error naming the setting */
  readonly token: () => string | undefined;
  /** Where the token comes from, for messages. */
  readonly tokenSetting: string;
  readonly tls?: TlsFiles | undefined;
  readonly compression: "gzip" | "zstd" | "none";
  readonly connectTimeoutMs: number;
  readonly timeoutMs: number;
  readonly batchUpdatesMax: number;
  /** Before compression. */
  readonly batchBytesMax: number;
  readonly lingerMs: number;
  readonly inFlightBatches: number;
  readonly inFlightMax: number;
  readonly retryAfterMaxMs: number;
  /** Pause after an answer that only a human can mend. */
  readonly retryMaxMs: number;
  readonly sync: "auto" | "off";
  /** Whether states travel as differences to a receiver that understands them. */
  readonly patches: "auto" | "off";
}

interface Entry extends Written {
  readonly id: string;
  readonly settle: (outcome: SendOutcome) => void;
}

const compress = {
  gzip: promisify(gzip),
  zstd: promisify(zstdCompress),
  none: (body: Buffer): Promise<Buffer> => Promise.resolve(body),
};
const NEWLINE = Buffer.from("\n");
/** The receiver does not have what a state was given as the difference from. */
const BASE_MISSING = "sync.base-missing";

/**
 * A web server as a road out: batches as NDJSON, one line per update. Any 2xx takes a batch, except what its
 * body names under `refused`. A batch that is disliked (400, 413, 422) is halved until the update that spoils
 * it stands alone; the others go through, in order.
 */
export class HttpsUplink implements UplinkConnection {
  readonly #options: HttpsUplinkOptions;
  readonly #path: string;
  readonly #lines = new LineWriter();
  #poster: Poster | undefined;
  #listener: UplinkListener | undefined;
  #headers: Readonly<Record<string, string>> = {};
  #waiting: Entry[] = [];
  #waitingBytes = 0;
  /** Batches that go before what waits, in order. */
  #ready: Entry[][] = [];
  #posting = 0;
  /** A batch is being halved: nothing may overtake its parts. */
  #sifting = 0;
  /** Learnt from 413. */
  #bytesMax: number;
  #linger: NodeJS.Timeout | undefined;
  #pastBytes = 0;
  /** The last answer was one that only a human can mend: an open connection alone means nothing. */
  #mistrusts = false;
  /** Ids of the batch that got no answer: it is repeated as it was, under the same key. */
  #unanswered: readonly string[] = [];
  /** A receiver that tells what it accepts takes updates of others where it says so. */
  takesGuests = true;
  readonly askMarks?: NonNullable<UplinkConnection["askMarks"]>;
  readonly tellFirst?: NonNullable<UplinkConnection["tellFirst"]>;

  constructor(options: HttpsUplinkOptions) {
    this.#options = options;
    this.#path = new URL(options.url).pathname;
    this.#bytesMax = options.batchBytesMax;
    if (options.sync === "off") return;
    this.askMarks = (streams, settle) => void this.#askMarks(streams, settle);
    this.tellFirst = (firsts) => void this.#question(this.#poster, firsts);
  }

  get wireBytes(): number {
    return this.#pastBytes + (this.#poster?.wireBytes ?? 0);
  }

  connect(listener: UplinkListener): void {
    const { url, tls, timeoutMs, connectTimeoutMs, inFlightBatches, inFlightMax } = this.#options;
    this.#hangUp();
    const { protocol, port } = new URL(url);
    const secure = protocol === "https:";
    const poster = new Poster({
      url,
      address: { host: hostOf(url), port: Number(port || (secure ? 443 : 80)), secure, tls },
      connectTimeoutMs,
      timeoutMs,
      connectionsMax: inFlightBatches + 1,
    });
    this.#poster = poster;
    this.#listener = listener;
    // What fails at once, such as a file that can not be read, is told in a later turn like everything else.
    Promise.resolve()
      .then(() => {
        this.#headers = this.#newHeaders();
        return poster.open();
      })
      .then(() => (this.#mistrusts ? this.#knock(poster) : undefined))
      .then(
        () => {
          if (poster === this.#poster) listener.up({ inFlightMax });
        },
        (error: Error) => this.#down(poster, error.message),
      );
  }

  send(update: OutboundUpdate, settle: (outcome: SendOutcome) => void): void {
    if (this.#poster === undefined) return;
    const line = this.#lines.write(update);
    this.#waiting.push({ id: update.id, update, line, whole: false, settle });
    this.#waitingBytes += line.length + 1;
    if (this.#waiting.length >= this.#wanted() || this.#waitingBytes >= this.#bytesMax)
      this.#pump();
    else this.#linger ??= setTimeout(() => this.#pump(), this.#options.lingerMs);
  }

  /** There is nothing retained here: a web server learns of the agent's state by its batches. */
  publishState(): void {
    return undefined;
  }

  disconnect(): Promise<void> {
    this.#hangUp();
    return Promise.resolve();
  }

  #wanted(): number {
    const again = this.#unanswered.length;
    return again > 0 ? again : this.#options.batchUpdatesMax;
  }

  #pump(): void {
    clearTimeout(this.#linger);
    this.#linger = undefined;
    const poster = this.#poster;
    if (poster === undefined) return;
    const lanes = this.#sifting > 0 ? 1 : this.#options.inFlightBatches;
    while (this.#posting < lanes) {
      const batch = this.#ready.shift() ?? this.#cut();
      if (batch === undefined) return;
      this.#posting++;
      void this.#post(poster, batch);
    }
  }

  /** Takes the next batch from what waits. */
  #cut(): Entry[] | undefined {
    const limit = this.#repeats() ? this.#unanswered.length : this.#options.batchUpdatesMax;
    this.#unanswered = [];
    let count = 0;
    let bytes = 0;
    for (const { line } of this.#waiting) {
      if (count === limit || (count > 0 && bytes + line.length + 1 > this.#bytesMax)) break;
      count++;
      bytes += line.length + 1;
    }
    if (count === 0) return undefined;
    this.#waitingBytes -= bytes;
    return this.#waiting.splice(0, count);
  }

  #repeats(): boolean {
    const ids = this.#unanswered;
    return ids.length > 0 && ids.every((id, at) => this.#waiting[at]?.id === id);
  }

  async #post(poster: Poster, batch: readonly Entry[]): Promise<void> {
    const ids = batch.map(({ id }) => id);
    const verdict = await this.#ask(poster, batch, keyOf(ids));
    if (poster !== this.#poster) return;
    this.#posting--;
    if (verdict.kind === "down") {
      this.#unanswered = ids;
      this.#mistrusts = verdict.needsHuman === true;
      this.#down(poster, verdict.reason, verdict.retryAfterMs);
    } else if (verdict.kind === "disliked") this.#sift(batch, verdict);
    else this.#settle(batch, verdict.refused);
    this.#pump();
  }

  async #ask(poster: Poster, batch: readonly Entry[], key: string): Promise<Verdict> {
    const { tokenSetting, retryAfterMaxMs, retryMaxMs } = this.#options;
    try {
      const body = await this.#encode(batch);
      const headers = { ...this.#headers, "idempotency-key": key };
      const answer = await poster.post(this.#path, headers, body);
      const nowMs = Date.now();
      return judge(answer, { slowRetryMs: retryMaxMs, retryAfterMaxMs, tokenSetting, nowMs });
    } catch (error) {
      return { kind: "down", reason: error instanceof Error ? error.message : String(error) };
    }
  }

  /** Posts a batch without updates, to hear whether what was wrong has been mended. */
  async #knock(poster: Poster): Promise<void> {
    const verdict = await this.#ask(poster, [], keyOf([]));
    if (verdict.kind === "down" && verdict.needsHuman === true)
      this.#down(poster, verdict.reason, verdict.retryAfterMs);
    else this.#mistrusts = false;
  }

  #encode(batch: readonly Entry[]): Promise<Buffer> {
    const lines = this.#lines.writeBatch(batch).flatMap((line) => [line, NEWLINE]);
    return compress[this.#options.compression](Buffer.concat(lines));
  }

  /** Halves a batch to find what spoils it; alone, an update is refused for good. */
  #sift(
    batch: readonly Entry[],
    { reason, tooLarge }: Extract<Verdict, { kind: "disliked" }>,
  ): void {
    const [only] = batch;
    if (batch.length === 1 && only !== undefined) {
      this.#noteSifted();
      only.settle({ kind: "refused", permanent: true, reason });
      return;
    }
    const middle = Math.ceil(batch.length / 2);
    const halves = [batch.slice(0, middle), batch.slice(middle)];
    if (tooLarge) {
      const bytes = batch.reduce((sum, { line }) => sum + line.length + 1, 0);
      this.#bytesMax = Math.max(1, Math.min(this.#bytesMax, Math.ceil(bytes / 2)));
    }
    // One part done, two to do.
    this.#sifting = Math.max(1, this.#sifting) + 1;
    this.#ready.unshift(...halves);
  }

  #noteSifted(): void {
    this.#sifting = this.#sifting > 1 ? this.#sifting - 1 : 0;
  }

  #settle(batch: readonly Entry[], refused: ReadonlyMap<string, Refusal>): void {
    this.#noteSifted();
    const again = batch.filter(({ id, whole }) => !whole && refused.get(id)?.code === BASE_MISSING);
    this.#sendWhole(again);
    for (const { id, update, settle } of batch) {
      if (refused.has(id)) continue;
      this.#lines.acknowledged(update);
      settle({ kind: "acknowledged" });
    }
    const settleRefused = (permanently: boolean): void => {
      for (const entry of batch) {
        const { permanent, reason } = refused.get(entry.id) ?? {};
        if (reason === undefined || permanent !== permanently || again.includes(entry)) continue;
        entry.settle({ kind: "refused", permanent, reason });
      }
    };
    settleRefused(true);
    // Last, since whoever hears of it hangs up.
    settleRefused(false);
  }

  /** States whose base the receiver does not have go again, before anything else. */
  #sendWhole(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    for (const { update } of entries) this.#lines.forget(update);
    this.#ready.unshift(entries.map((entry) => ({ ...entry, whole: true })));
    this.#sifting++;
  }

  async #askMarks(
    streams: readonly string[],
    settle: Parameters<NonNullable<UplinkConnection["askMarks"]>>[1],
  ): Promise<void> {
    const poster = this.#poster;
    if (poster === undefined) return;
    const question = new Map(streams.map((name) => [name, undefined] as const));
    const answer = await this.#question(poster, question);
    if (poster !== this.#poster) return;
    const { marks, accepts } = this.#readMarks(answer);
    if (accepts?.includes("patch") === true && this.#options.patches === "auto")
      this.#lines.allowPatches();
    this.takesGuests = accepts?.includes("relay") ?? true;
    settle(marks);
  }

  async #question(
    poster: Poster | undefined,
    streams: ReadonlyMap<string, number | undefined>,
  ): Promise<Answer | undefined> {
    const path = `${this.#path.replace(/\/$/, "")}/marks`;
    const headers = { ...this.#headers, "content-type": "application/json" };
    const { "content-encoding": _, ...plain } = headers as Record<string, string>;
    const question = encodeMarksRequest({ agent: this.#options.agentId, streams });
    try {
      return await poster?.post(path, plain, Buffer.from(question));
    } catch {
      // A receiver that is gone shows with the next batch.
      return undefined;
    }
  }

  #readMarks(answer: Answer | undefined): Partial<ReturnType<typeof parseMarksAnswer>> {
    if (answer?.status !== 200 || answer.truncated) return {};
    try {
      const read = parseMarksAnswer(answer.body.toString("utf8"));
      return (read.agent ?? this.#options.agentId) === this.#options.agentId ? read : {};
    } catch {
      return {};
    }
  }

  #newHeaders(): Readonly<Record<string, string>> {
    const { compression, agentId, token } = this.#options;
    const secret = token();
    return {
      "content-type": "application/x-ndjson",
      accept: "application/json",
      "user-agent": `agent-mesh (${agentId})`,
      ...(compression === "none" ? {} : { "content-encoding": compression }),
      ...(secret === undefined ? {} : { authorization: `Bearer ${secret}` }),
    };
  }

  #down(poster: Poster, reason: string, retryAfterMs?: number): void {
    if (poster !== this.#poster) return;
    const listener = this.#listener;
    this.#hangUp();
    listener?.down(reason, retryAfterMs);
  }

  #hangUp(): void {
    this.#pastBytes = this.wireBytes;
    this.#poster?.close();
    this.#poster = undefined;
    this.#lines.reset();
    this.#listener = undefined;
    clearTimeout(this.#linger);
    this.#linger = undefined;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#ready = [];
    this.#posting = 0;
    this.#sifting = 0;
  }
}

/** @returns 64 hexadecimal digits, the same for the same updates in the same order. */
function keyOf(ids: readonly string[]): string {
  return createHash("sha256").update(ids.join("\n")).digest("hex");
}
