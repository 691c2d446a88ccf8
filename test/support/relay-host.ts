// A host as guests meet it, without the agent around it: what it stores is delivered when the test says so.
import { resolveConfig } from "../../src/config/resolve.ts";
import type { Offer, Withdrawal } from "../../src/mesh/relay/offer.ts";
import type { RelayOptions } from "../../src/mesh/relay/options.ts";
import { decodeAnswer, encodeRequest } from "../../src/mesh/relay/relay-codec.ts";
import { RelayHost } from "../../src/mesh/relay/relay-host.ts";
import type { KeyValueStore } from "../../src/platform/key-value-store.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { silentLogger } from "../../src/platform/silent-logger.ts";
import type { OutboundUpdate } from "../../src/platform/uplink-connection.ts";
import { MemoryKeyValueStore } from "../../src/simulator/memory-key-value-store.ts";
import { VirtualClock } from "../../src/simulator/virtual-clock.ts";
import type { RelayAnswer } from "../../src/wire/agent_mesh/v1/relay_pb.ts";

export const HOST = "12D3KooWhost";
export const GUEST = "12D3KooWguest";

/** What the desk has of `relay`, unless said otherwise. */
export function relayOptions(over: Partial<RelayOptions> = {}): RelayOptions {
  return { ...resolveConfig({}).relay, ...over };
}

/** A host in virtual time. */
export class HostUnderTest {
  readonly clock = new VirtualClock();
  readonly events: { type: string; data: Readonly<Record<string, unknown>> }[] = [];
  readonly delivered: OutboundUpdate[] = [];
  readonly host: RelayHost;
  /** Names by which agents are known in the mesh. */
  readonly known = new Map([[GUEST, "guest"]]);

  constructor(over: Partial<RelayOptions> = {}, store: KeyValueStore = new MemoryKeyValueStore()) {
    this.host = new RelayHost({
      self: HOST,
      agentId: "host",
      options: relayOptions(over),
      store,
      clock: this.clock,
      random: new SeededRandom("host"),
      logger: silentLogger,
      events: { emit: (type, data) => this.events.push({ type, data }) },
      agentIdOf: (peer) => this.known.get(peer),
      lingerMs: () => 0,
    });
  }

  async start(offer: Offer | Withdrawal = { route: [], passedMax: 3 }): Promise<this> {
    await this.host.start();
    this.host.setOffer(offer);
    return this;
  }

  /** @returns what the host answers, once time has gone by as far as that takes */
  async ask(
    body: Parameters<typeof encodeRequest>[0],
    from: string = GUEST,
  ): Promise<RelayAnswer["body"]> {
    const asked = this.host.requests.answer(from, encodeRequest(body));
    const progress = { done: false };
    const end = (): void => {
      progress.done = true;
    };
    asked.then(end, end);
    for (let waited = 0; !progress.done && waited < 40_000; waited += 10)
      await this.clock.advance(10);
    return decodeAnswer(await asked) ?? { case: undefined };
  }

  /** @returns the session that has begun */
  async hello(agentId = "guest", from: string = GUEST): Promise<number> {
    const answer = await this.ask({ case: "hello", value: { agentId } }, from);
    if (answer.case !== "welcome") throw new Error(`not welcome: ${JSON.stringify(answer.value)}`);
    return answer.value.session;
  }

  /** What waits of a guest arrives upstream. @returns how many updates */
  async deliver(limit = 1_000, from: string = GUEST): Promise<number> {
    let settled = 0;
    for (;;) {
      const updates = await this.host.leases.lease(from, limit - settled);
      if (updates.length === 0) return settled;
      settled += updates.length;
      for (const update of updates) {
        this.delivered.push(update);
        this.host.leases.acknowledge(update);
      }
    }
  }
}
