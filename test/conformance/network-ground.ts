import type { Test } from "tap";
import {
  type Network,
  NetworkError,
  type NetworkEvent,
  type NetworkGate,
  type Protocol,
} from "../../src/platform/network.ts";

/** One node of the network that is tested, started. */
export interface NodeUnderTest {
  readonly network: Network;
  readonly events: readonly NetworkEvent[];
  /** `peer kind` of every offence that was told. */
  readonly offences: readonly string[];
}

/** What a node may be made with. */
export interface NodeOptions {
  readonly gate?: Partial<NetworkGate>;
  readonly bulkIdleTimeoutMs?: number;
  /** Nodes of one name have one identity key. */
  readonly key?: string;
  /** Called before the node is started. */
  readonly before?: (network: Network) => void;
  /** Called with every event as it is told. */
  readonly onEvent?: (event: NetworkEvent, network: Network) => void;
}

/** Makes nodes that are stopped with the test. */
export type MakeNode = (t: Test, options?: NodeOptions) => Promise<NodeUnderTest>;

export const SOON = { timeoutMs: 10_000 };

/** Largest of what a topic message of the nodes may have. */
export const TOPIC_BYTES_MAX = 1_048_576;

/** @returns a protocol with small bounds */
export function protocol(name: string, over: Partial<Protocol> = {}): Protocol {
  return {
    id: `/agent-mesh-test/${name}/1.0.0`,
    messageBytesMax: 65_536,
    queueBytesMax: 262_144,
    requestsInFlightMax: 8,
    ...over,
  };
}

/** @returns that code of the error which the promise fails with, with the refusal where there is one */
export async function codeOf(operation: Promise<unknown>): Promise<string> {
  try {
    await operation;
  } catch (error) {
    if (!(error instanceof NetworkError)) return String(error);
    const { code, refusal } = error;
    return refusal === undefined ? code : `${code} ${refusal}`;
  }
  return "fine";
}

/** Polls until `condition` holds. @throws Error after 20 seconds. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
): Promise<void> {
  const deadlineMs = performance.now() + 20_000;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`waited 20 s in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** @returns two nodes with a link between them, the first of which dialled */
export async function pair(
  t: Test,
  make: MakeNode,
  options: { readonly near?: NodeOptions; readonly far?: NodeOptions } = {},
): Promise<readonly [near: NodeUnderTest, far: NodeUnderTest]> {
  const near = await make(t, options.near);
  const far = await make(t, options.far);
  await link(near, far);
  return [near, far];
}

/** Links two nodes; both know it afterwards. */
export async function link(near: NodeUnderTest, far: NodeUnderTest): Promise<void> {
  await near.network.connect({ addresses: far.network.addresses() }, SOON);
  await until(() => linked(far, near), "the other side to know of the link");
}

/** @returns whether one knows of a link to the other */
export function linked(one: NodeUnderTest, other: NodeUnderTest): boolean {
  return one.network.links().some(({ peer }) => peer === other.network.self);
}

export const bytes = (text: string): Uint8Array => Buffer.from(text, "utf8");
export const text = (payload: Uint8Array): string => Buffer.from(payload).toString("utf8");
