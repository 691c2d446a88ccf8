import type { Random } from "../../platform/random.ts";
import { compressOnce, ErrorFeedback } from "../compression/error-feedback.ts";
import { mustBeBounded } from "./client-rule.ts";
import type { Experiment } from "./options.ts";

/** The way from clients to the server: counts bytes, and compresses where that is wanted. */
export class Uploads {
  readonly #options: Experiment["compression"];
  readonly #random: Random;
  readonly #feedback = new Map<number, ErrorFeedback>();
  #bytes = 0;
  #plainBytes = 0;

  /** @throws LabError when what clients would have to remember is too much */
  constructor(
    options: Experiment["compression"],
    parameterCount: number,
    clients: number,
    random: Random,
  ) {
    this.#options = options;
    this.#random = random;
    if (options?.errorFeedback === true) mustBeBounded("compression", parameterCount, clients);
  }

  /** Of everything that was sent. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How many times smaller that is than it would have been; 1 before anything was sent. */
  get ratio(): number {
    return this.#bytes === 0 ? 1 : this.#plainBytes / this.#bytes;
  }

  /** @returns what the server has of it, and what is missing as a share of its length */
  send(
    client: number,
    update: Float32Array,
  ): { readonly received: Float32Array; readonly error: number } {
    this.#plainBytes += 4 * update.length;
    if (this.#options === undefined) {
      this.#bytes += 4 * update.length;
      return { received: update, error: 0 };
    }
    const { errorFeedback, topShare, quantize, rounding, zstd } = this.#options;
    const options = {
      ...(topShare !== undefined && { topShare }),
      ...(quantize !== undefined && { quantize }),
      ...(rounding !== undefined && { rounding }),
      ...(zstd !== undefined && { zstd }),
    };
    let sent: ReturnType<typeof compressOnce>;
    if (errorFeedback) {
      const own =
        this.#feedback.get(client) ?? new ErrorFeedback(options, this.#random.fork(`${client}`));
      this.#feedback.set(client, own);
      sent = own.compress(update);
    } else sent = compressOnce(update, options, this.#random);
    this.#bytes += sent.bytes.length;
    return sent;
  }
}
