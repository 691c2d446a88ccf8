import { fromHex, toHex } from "../../platform/hex.ts";
import type { PeerId } from "../../platform/signer.ts";

/** How the log began. */
export type Origin =
  | { readonly kind: "found"; readonly members: readonly PeerId[] }
  | { readonly kind: "join"; readonly ticket: Uint8Array };

/** What a log begins with. */
export interface Head {
  /** Of the store at that time: another one may have lost records. */
  readonly generation: number;
  readonly origin: Origin;
}

/** @returns the head as it is stored */
export function writeHead({ generation, origin }: Head): Uint8Array {
  const text =
    origin.kind === "found"
      ? { generation, members: origin.members }
      : { generation, ticket: toHex(origin.ticket) };
  return new TextEncoder().encode(JSON.stringify(text));
}

/** @returns undefined for what {@link writeHead} did not write; never throws */
export function readHead(bytes: Uint8Array): Head | undefined {
  try {
    const read: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof read !== "object" || read === null) return undefined;
    const { generation, members, ticket } = read as Readonly<Record<string, unknown>>;
    if (typeof generation !== "number") return undefined;
    if (typeof ticket === "string")
      return { generation, origin: { kind: "join", ticket: fromHex(ticket) } };
    if (!Array.isArray(members) || !members.every((one) => typeof one === "string"))
      return undefined;
    return { generation, origin: { kind: "found", members } };
  } catch {
    // Whatever JSON did not like about it.
    return undefined;
  }
}
