import { NetworkError } from "../platform/network.ts";
import type { PeerId } from "../platform/signer.ts";
import type { VirtualEther } from "./virtual-ether.ts";
import { LinkEnd } from "./virtual-link.ts";
import type { VirtualNode } from "./virtual-node.ts";

/** Opens a link, or finds the one that is there. @throws NetworkError */
export function dial(
  ether: VirtualEther,
  near: VirtualNode,
  target: { readonly peer?: PeerId; readonly addresses: readonly string[] },
  timeoutMs: number,
): Promise<PeerId> {
  return new Promise((resolve, reject) => {
    if (target.peer !== undefined) admit(near, target.peer);
    near.mustRun();
    near.tally.dials++;
    const untilMs = ether.clock.monotonicMs() + timeoutMs;
    let settled = false;
    const fail = (code: NetworkError["code"], why: string): void => {
      if (settled || near.dead) return;
      settled = true;
      near.tally.dialsFailed++;
      reject(new NetworkError(code, `${target.peer ?? target.addresses[0]}: ${why}`));
    };
    const peer = meant(target);
    if (peer === undefined || peer === near.self) {
      fail("network.unreachable", "no address leads there");
      return;
    }
    if (near.end(peer) !== undefined) {
      resolve(peer);
      return;
    }
    ether.at(untilMs, () => fail("network.timeout", `no answer in ${timeoutMs} ms`));
    const tripMs = (): number => ether.clock.monotonicMs() + ether.latencyMs(near.self, peer);
    // What is sent into a cut, or to a node that is hidden, is never heard of again.
    ether.at(tripMs(), () => {
      if (ether.apart(near.self, peer) || ether.apart(peer, near.self)) return;
      const far = ether.listener(peer);
      if (far === undefined) {
        ether.at(tripMs(), () => fail("network.unreachable", "nobody listens there"));
        return;
      }
      const { gate, connectionsMax = Number.POSITIVE_INFINITY } = far.settings;
      if (!gate.admits(near.self) || far.all().length >= connectionsMax) {
        ether.at(tripMs(), () => fail("network.unreachable", "it hung up"));
        return;
      }
      const [here, there] = LinkEnd.pair(ether, at(near), at(far));
      // The frame that opens the link goes before whatever the dialled side has to say: it would reach a side without a link.
      there.transmit("", 0, () => {
        if (settled || !near.running) {
          here.close();
          return;
        }
        settled = true;
        if (near.settings.gate.admits(peer)) {
          near.linked(here);
          resolve(peer);
          return;
        }
        here.close();
        near.tally.dialsFailed++;
        reject(new NetworkError("network.barred", `${peer} is barred`));
      });
      far.linked(there);
    });
  });
}

function at(owner: VirtualNode): { readonly owner: VirtualNode; readonly address: string } {
  return { owner, address: owner.addresses()[0] ?? "" };
}

function admit(near: VirtualNode, peer: PeerId): void {
  if (!near.settings.gate.admits(peer))
    throw new NetworkError("network.barred", `${peer} is barred`);
}

/** @returns who is dialled: the peer, if an address of its own is among those given; else whose the first one is */
function meant({
  peer,
  addresses,
}: {
  readonly peer?: PeerId;
  readonly addresses: readonly string[];
}): PeerId | undefined {
  const found = addresses.flatMap((address) => {
    const [, at, name] = /^\/memory\/([^/]+)(?:\/p2p\/([^/]+))?$/.exec(address) ?? [];
    return at !== undefined && (name === undefined || name === at) ? [at] : [];
  });
  return peer === undefined ? found[0] : found.find((name) => name === peer);
}
