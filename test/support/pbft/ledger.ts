import type { Execution, Installation } from "../../../src/consensus/pbft/effects.ts";
import type { Request } from "../../../src/consensus/pbft/request.ts";

/** What requests are executed by. */
export interface Application {
  execute(execution: Execution): {
    readonly results: readonly Uint8Array[];
    readonly state?: Uint8Array;
  };
  install(installation: Installation): void;
}

/** Operations that the state shows in full; enough for a state of several chunks. */
const SHOWN_MAX = 64;

/** The application of the tests: what it answers depends on everything that was executed before. */
export class Ledger implements Application {
  #hash = 0x811c9dc5;
  #count = 0;
  #last: string[] = [];

  get count(): number {
    return this.#count;
  }

  execute({ requests, wantsState }: Execution): { results: Uint8Array[]; state?: Uint8Array } {
    const results = requests.map((request) => this.#execute(request));
    return wantsState ? { results, state: this.state() } : { results };
  }

  state(): Uint8Array {
    return Buffer.from(JSON.stringify([this.#hash, this.#count, this.#last]));
  }

  install({ state, sequence }: Installation): void {
    if (sequence === 0) return;
    [this.#hash, this.#count, this.#last] = JSON.parse(Buffer.from(state).toString()) as [
      number,
      number,
      string[],
    ];
  }

  #execute({ client, timestamp, operation }: Request): Uint8Array {
    const line = `${client}/${timestamp}/${Buffer.from(operation).toString("hex")}`;
    for (let at = 0; at < line.length; at++)
      this.#hash = Math.imul(this.#hash ^ line.charCodeAt(at), 0x01000193) >>> 0;
    this.#count++;
    this.#last.push(line);
    if (this.#last.length > SHOWN_MAX) this.#last.shift();
    return Buffer.from(this.#hash.toString(16));
  }
}
