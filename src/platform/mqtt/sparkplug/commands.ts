import type { PayloadScalar } from "../payload-values.ts";
import { type Addresses, REBIRTH, streamOf } from "./addresses.ts";
import { decodeCommand } from "./payload.ts";

/** What a host asks of this node. */
export interface HostCommand {
  /** All births again. */
  readonly rebirth: boolean;
  /** Values written to metrics, under the name of the stream that the metric would be. */
  readonly writes: readonly { readonly stream: string; readonly payload: Uint8Array }[];
  /** Metrics that are no command for this node, by name. */
  readonly ignored: readonly string[];
}

const NO_TOPIC = /[+#\0]|^$/;

/**
 * Reads an NCMD or DCMD (Sparkplug 3.0 sections 6.4.22 and 6.4.23).
 * @returns undefined when the topic is neither
 * @throws Error when the payload can not be read
 */
export function readCommand(
  addresses: Addresses,
  topic: string,
  payload: Uint8Array,
  nameOf: (alias: number) => string | undefined,
): HostCommand | undefined {
  const device = addresses.commandTarget(topic);
  if (device === null) return undefined;
  const writes: HostCommand["writes"][number][] = [];
  const ignored: string[] = [];
  let rebirth = false;
  for (const { name: written, alias, value } of decodeCommand(payload)) {
    const name = written ?? (alias === undefined ? undefined : nameOf(alias));
    if (name === undefined) ignored.push(`alias ${alias ?? "and name missing"}`);
    else if (device === undefined && name === REBIRTH) rebirth ||= value === true;
    else if (device === undefined && name.startsWith("Node Control/")) ignored.push(name);
    else {
      const stream = streamOf({ device, name });
      if (NO_TOPIC.test(stream)) ignored.push(name);
      else writes.push({ stream, payload: bytesOf(value) });
    }
  }
  return { rebirth, writes, ignored };
}

function bytesOf(value: PayloadScalar): Uint8Array {
  if (value instanceof Uint8Array) return value;
  return Buffer.from(value === null ? "" : String(value));
}
