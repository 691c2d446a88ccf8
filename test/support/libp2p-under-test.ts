import type { Test } from "tap";
import { generateIdentityPem, identityKeyFrom } from "../../src/platform/libp2p/identity-key.ts";
import type { Libp2pSettings } from "../../src/platform/libp2p/settings.ts";
import type { NetworkEvent } from "../../src/platform/network.ts";
import { type MakeNode, TOPIC_BYTES_MAX } from "../conformance/network-ground.ts";
import { libp2pNode } from "./libp2p-node.ts";

/** @returns what makes nodes with these settings */
export function libp2pNodes(over: Partial<Libp2pSettings> = {}): MakeNode {
  const keys = new Map<string, string>();
  return async (t: Test, { gate, key, before, onEvent, ...options } = {}) => {
    const pem = keys.get(key ?? "") ?? generateIdentityPem();
    if (key !== undefined) keys.set(key, pem);
    const offences: string[] = [];
    const events: NetworkEvent[] = [];
    const network = await libp2pNode({
      ...identityKeyFrom(pem),
      messageBytesMax: TOPIC_BYTES_MAX,
      ...over,
      ...options,
      gate: {
        admits: () => true,
        allows: () => undefined,
        offence: (peer, kind) => offences.push(`${peer} ${kind}`),
        ...gate,
      },
    });
    before?.(network);
    t.teardown(() => network.stop());
    await network.start((event) => {
      events.push(event);
      onEvent?.(event, network);
    });
    return { network, events, offences };
  };
}
