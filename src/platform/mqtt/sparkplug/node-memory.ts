import type { KeyValueStore, StoreOperation } from "../../key-value-store.ts";
import type { Logger } from "../../logger.ts";
import type { MetricDeclaration } from "./metric-catalogue.ts";
import type { DataTypeNumber } from "./payload.ts";

const BIRTH_SEQUENCES = 256;
/** Above every character of a key. */
const END = "~";

/**
 * What an edge node keeps across restarts: the birth/death sequence number, which grows by one with every
 * CONNECT (tck-id-topics-nbirth-bdseq-increment), and the metrics that it has declared, so that its first birth
 * after a restart names them all.
 */
export class NodeMemory {
  readonly #store: KeyValueStore;
  readonly #logger: Logger;
  readonly #prefix: string;
  readonly #layout: string;
  #loaded = false;

  /**
   * @param uplinkName whose memory this is
   * @param layout how streams become metrics; metrics declared under another one are forgotten
   */
  constructor(store: KeyValueStore, logger: Logger, uplinkName: string, layout: string) {
    this.#store = store;
    this.#logger = logger;
    this.#prefix = `u/sparkplug/${uplinkName}/`;
    this.#layout = layout;
  }

  /** @returns 0, 1, … 255, 0, …; it is on disk before it is returned. @throws StoreError */
  async nextBirthSequence(): Promise<number> {
    const key = `${this.#prefix}bdseq`;
    const last = await this.#store.get(key);
    const next = last?.[0] === undefined ? 0 : (last[0] + 1) % BIRTH_SEQUENCES;
    const put: StoreOperation = { type: "put", key, value: Uint8Array.of(next) };
    await this.#store.write([put], { durable: true });
    return next;
  }

  /** @returns what was remembered before this process began; once, then nothing. @throws StoreError */
  async declarations(): Promise<readonly MetricDeclaration[]> {
    if (this.#loaded) return [];
    const layoutKey = `${this.#prefix}layout`;
    const layout = await this.#store.get(layoutKey);
    const same = layout !== undefined && Buffer.from(layout).toString() === this.#layout;
    const entries = await this.#entries();
    if (!same) {
      const forget = entries.map(([key]): StoreOperation => ({ type: "del", key }));
      const value = Buffer.from(this.#layout);
      const put: StoreOperation = { type: "put", key: layoutKey, value };
      await this.#store.write([...forget, put], { durable: true });
    }
    this.#loaded = true;
    return same ? entries.flatMap(([, value]) => parsed(value)) : [];
  }

  /** Not waited for: what is lost in a crash is declared again when its next value comes. */
  remember(declarations: readonly MetricDeclaration[]): void {
    const puts = declarations.map(
      ({ device, name, type, alias }): StoreOperation => ({
        type: "put",
        key: `${this.#prefix}m/${String(alias).padStart(8, "0")}`,
        value: Buffer.from(JSON.stringify([alias, type, name, device])),
      }),
    );
    this.#store
      .write(puts, { durable: false })
      .catch((error: unknown) =>
        this.#logger.warn("could not remember Sparkplug metrics", { reason: String(error) }),
      );
  }

  async #entries(): Promise<(readonly [key: string, value: Uint8Array])[]> {
    const entries: (readonly [string, Uint8Array])[] = [];
    let gte = `${this.#prefix}m/`;
    for (;;) {
      const page = await this.#store.range({ gte, lt: `${this.#prefix}m${END}`, limit: 1_000 });
      entries.push(...page);
      const last = page.at(-1);
      if (last === undefined || page.length < 1_000) return entries;
      gte = `${last[0]} `;
    }
  }
}

function parsed(value: Uint8Array): readonly MetricDeclaration[] {
  try {
    const [alias, type, name, device] = JSON.parse(Buffer.from(value).toString("utf8")) as [
      number,
      DataTypeNumber,
      string,
      string | null | undefined,
    ];
    return [{ alias, type, name, device: device ?? undefined }];
  } catch {
    // A record that a crash has damaged is declared again when its next value comes.
    return [];
  }
}
