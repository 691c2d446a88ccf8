import type { PeerId } from "../../platform/signer.ts";
import type { Member } from "../membership/member.ts";
import { encodeTopicMessage } from "./frames.ts";

/** Task by which members of the mesh hand a bridge what is to leave the mesh: an encoded `TopicMessage`. */
export const PUBLISH_TASK = "bridge-publish";

/** Feature in the record of an agent that is a bridge. */
export const BRIDGE_FEATURE = "bridge";

/** What {@link publishOverBridges} needs of a node. */
interface Node {
  members(): Iterable<Member>;
  callTask(peer: PeerId, name: string, payload: Uint8Array): Promise<Uint8Array>;
}

/**
 * Hands a message to every bridge of the mesh, for subscribers beyond it. Unlike a broadcast it is acknowledged, needs
 * no listener on the way, and fits bridging rules with wildcards; with the same id twice it goes on once.
 * @param message `id` has at most 64 characters, and is this node's for that message alone
 * @returns how many bridges have taken it; 0 where there is none
 * @throws NetworkError when there are bridges and none took it: with `network.refused` and `bridge.denied` since no rule
 *   lets the topic out
 */
export async function publishOverBridges(
  node: Node,
  message: { readonly id: string; readonly topic: string; readonly payload: Uint8Array },
): Promise<number> {
  const bridges = [...node.members()].filter(
    ({ state, record }) =>
      (state === "alive" || state === "suspect") &&
      record.capabilities?.features.includes(BRIDGE_FEATURE) === true,
  );
  const envelope = encodeTopicMessage({ ...message, via: [] });
  const outcomes = await Promise.allSettled(
    bridges.map(({ record }) => node.callTask(record.peerId, PUBLISH_TASK, envelope)),
  );
  const taken = outcomes.filter(({ status }) => status === "fulfilled").length;
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  if (taken === 0 && failed !== undefined) throw failed.reason;
  return taken;
}
