import type { MemberChange } from "../../mesh/membership/member.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type {
  Network,
  NetworkError,
  NetworkEvent,
  NetworkGate,
  Protocol,
} from "../../platform/network.ts";
import type { PeerId } from "../../platform/signer.ts";
import { WakeUp } from "../../platform/wake-up.ts";
import {
  ContractAgent,
  type ContractAgentParts,
  type ContractCounters,
  type ContractEffects,
  type ContractInput,
} from "./agent.ts";
import type { CallChange, ContractChange } from "./effects.ts";
import { decodeMessage, encodeMessage, MESSAGE_BYTES_MAX } from "./message-codec.ts";
import type { Task, Terms } from "./task.ts";

/** Carries the words of the contract net: as messages over links, as requests to those without one. */
export const TASKS_PROTOCOL: Protocol = {
  id: "/agent-mesh/tasks/1.0.0",
  messageBytesMax: MESSAGE_BYTES_MAX,
  queueBytesMax: 1_048_576,
  requestsInFlightMax: 16,
};

/** Agents without a link that are spoken to at once; words to further ones are lost, as on any link. */
const REQUESTS_MAX = 64;
const NOTHING = new Uint8Array(0);

/** Without the timestamp, which the runner knows, and with the bytes of a message instead of what they say. */
type Input = ContractInput extends infer Each
  ? Each extends unknown
    ? Omit<Each, "nowMs">
    : never
  : never;

/** What a runner works with. */
export interface ContractRunnerParts extends Omit<ContractAgentParts, "neighbours"> {
  readonly network: Pick<Network, "serve" | "send" | "links">;
  /** Tells an agent to which there is no link; opens one. @throws NetworkError */
  readonly reach: (peer: PeerId, bytes: Uint8Array) => Promise<unknown>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly gate: Pick<NetworkGate, "offence">;
  onCall(change: CallChange): void;
  onContract(change: ContractChange): void;
}

/** Performs what the contract net wants done: messages to linked and unlinked members, and a tick when one is due. */
export class ContractRunner {
  readonly #parts: ContractRunnerParts;
  readonly #agent: ContractAgent;
  readonly #linked = new Set<PeerId>();
  readonly #tick: WakeUp;
  readonly #told: (() => void)[] = [];
  #isTelling = false;
  #requests = 0;
  #running = false;

  constructor(parts: ContractRunnerParts) {
    const { network, clock } = parts;
    this.#parts = parts;
    this.#tick = new WakeUp(clock, "tasks.tick", () => void this.#input({ kind: "tick" }));
    this.#agent = new ContractAgent({ ...parts, neighbours: () => [...this.#linked] });
    network.serve(TASKS_PROTOCOL, {
      message: (from, bytes) => this.#hear(from, bytes),
      request: (from, bytes) => {
        this.#hear(from, bytes);
        return NOTHING;
      },
    });
  }

  /** Begins to speak and to hear. */
  start(): void {
    this.#running = true;
    for (const { peer } of this.#parts.network.links()) this.#linked.add(peer);
  }

  /** Falls silent: others notice it by the membership. Idempotent. */
  stop(): void {
    this.#running = false;
    this.#tick.cancel();
  }

  /** Passes on what the network tells. */
  take(event: NetworkEvent): void {
    if (event.kind === "link-up") this.#linked.add(event.link.peer);
    if (event.kind === "link-down") this.#linked.delete(event.peer);
  }

  /**
   * Passes on what happened to a member. One that has begun anew has forgotten its bids, its contracts and its calls, and
   * counts as gone.
   */
  member({ peer, kind, before, after }: MemberChange): void {
    const isGone = kind === "dead" || kind === "left";
    const began = before !== undefined && before.record.epoch < after.record.epoch;
    if ((isGone || began) && peer !== this.#parts.self) this.#input({ kind: "gone", peer });
  }

  /**
   * Calls for contractors.
   * @returns the name of the call; undefined while this agent does not run, and where there are too many calls
   * @throws RangeError for a task or terms that nobody could keep
   */
  call(task: Task, terms: Terms, candidates: readonly PeerId[] | undefined): string | undefined {
    return this.#input({ kind: "submit", task, terms, candidates });
  }

  /** Ends a call, and the work of its contractors. */
  cancel(call: string): void {
    this.#input({ kind: "cancel", call });
  }

  /** How the work on a contract goes on. @throws RangeError for an output that is too long */
  work(
    input: Extract<Input, { readonly kind: "progress" } | { readonly kind: "done" | "failed" }>,
  ): void {
    this.#input(input);
  }

  load(): ReturnType<ContractAgent["load"]> {
    return this.#agent.load();
  }

  counters(): ContractCounters {
    return this.#agent.counters();
  }

  #hear(from: PeerId, bytes: Uint8Array): void {
    this.#input({ kind: "message", from, value: decodeMessage(bytes) });
  }

  #input(input: Input): string | undefined {
    if (!this.#running) return undefined;
    const nowMs = this.#parts.clock.monotonicMs();
    const effects = this.#agent.step({ ...input, nowMs });
    this.#perform(effects);
    return effects.called;
  }

  #perform({ send, calls, contracts, offences, nextTickAtMs }: ContractEffects): void {
    const parts = this.#parts;
    this.#tick.at(nextTickAtMs);
    let encoded: { readonly message: unknown; readonly bytes: Uint8Array } | undefined;
    for (const { to, message } of send) {
      // One announcement goes to many.
      if (encoded?.message !== message) encoded = { message, bytes: encodeMessage(message) };
      this.#send(to, encoded.bytes);
    }
    for (const { peer, kind } of offences) parts.gate.offence(peer, kind);
    for (const change of calls) this.#told.push(() => parts.onCall(change));
    for (const change of contracts) this.#told.push(() => parts.onContract(change));
    this.#tell();
  }

  /** What is told may lead to further inputs; what these lead to is told after it. */
  #tell(): void {
    if (this.#isTelling) return;
    this.#isTelling = true;
    try {
      for (let tell = this.#told.shift(); tell !== undefined; tell = this.#told.shift()) tell();
    } finally {
      this.#isTelling = false;
    }
  }

  #send(to: PeerId, bytes: Uint8Array): void {
    const { network, reach } = this.#parts;
    const unsent = (error: NetworkError): void =>
      this.#parts.logger.debug("a word about a task was not sent", { peer: to, code: error.code });
    if (this.#linked.has(to)) {
      network.send(to, TASKS_PROTOCOL, bytes).catch(unsent);
      return;
    }
    if (this.#requests >= REQUESTS_MAX) return;
    this.#requests++;
    reach(to, bytes)
      .catch(unsent)
      .finally(() => this.#requests--);
  }
}
