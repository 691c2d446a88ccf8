import { type Network, NetworkError, Refused } from "../../platform/network.ts";
import type { PeerId } from "../../platform/signer.ts";
import { taskProtocolId } from "./names.ts";

const TASKS_MAX = 256;
const REQUESTS_IN_FLIGHT_MAX = 64;

/** Work that other nodes may ask for. @throws Refused to say no in so many words */
export type Task = (from: PeerId, payload: Uint8Array) => Uint8Array | Promise<Uint8Array>;

/** What tasks work with. */
interface TasksParts {
  readonly network: Network;
  readonly limits: { readonly messageBytesMax: number; readonly queueBytesMax: number };
  /** Sees to a link. @throws NetworkError */
  readonly link: (peer: PeerId) => Promise<void>;
}

/** Work that nodes do for each other, each task under a protocol of its own. */
export class Tasks {
  readonly #parts: TasksParts;
  readonly #own = new Map<string, Task>();

  constructor(parts: TasksParts) {
    this.#parts = parts;
  }

  /** @throws RangeError for a name that can not be one @throws Error when it is taken */
  attach(name: string, task: Task): void {
    const protocol = this.#protocol(name);
    if (this.#own.has(name)) throw new Error(`the task ${name} is attached already`);
    if (this.#own.size >= TASKS_MAX) throw new Error(`${TASKS_MAX} tasks are attached already`);
    this.#own.set(name, task);
    this.#parts.network.serve(protocol, { request: task });
  }

  /** Has a node do a task, this one too. @returns its result @throws NetworkError, RangeError */
  async call(
    peer: PeerId,
    name: string,
    payload: Uint8Array,
    timeoutMs: number,
  ): Promise<Uint8Array> {
    const { network, link } = this.#parts;
    const protocol = this.#protocol(name);
    if (peer === network.self) return this.#do(name, payload);
    await link(peer);
    return network.request(peer, protocol, payload, { timeoutMs });
  }

  /** Ends as it would for another node. */
  async #do(name: string, payload: Uint8Array): Promise<Uint8Array> {
    const task = this.#own.get(name);
    if (task === undefined)
      throw new NetworkError("network.unsupported", `the task ${name} is not attached`);
    try {
      return await task(this.#parts.network.self, payload);
    } catch (error) {
      const refusal = error instanceof Refused ? error.code : "service.failed";
      const said = error instanceof Refused ? error.message : `the task ${name} failed`;
      throw new NetworkError("network.refused", said, { refusal, cause: error });
    }
  }

  #protocol(name: string) {
    const id = taskProtocolId(name);
    return { id, ...this.#parts.limits, requestsInFlightMax: REQUESTS_IN_FLIGHT_MAX };
  }
}
