import { fromHex } from "../../platform/hex.ts";
import type { KeyValueStore, StoreOperation } from "../../platform/key-value-store.ts";
import { GROUP_BYTES } from "../ordering/group-desk.ts";

const KEY = "k/ticket";

/** @returns what keeps the ticket with which this node begins in a group */
export function ticketOperation(group: string, ticket: Uint8Array): StoreOperation {
  const value = new Uint8Array(GROUP_BYTES + ticket.length);
  value.set(fromHex(group));
  value.set(ticket, GROUP_BYTES);
  return { type: "put", key: KEY, value };
}

/** @returns the ticket with which this node began in a group; undefined when it is not known @throws StoreError */
export async function readTicket(
  store: KeyValueStore,
  group: string,
): Promise<Uint8Array | undefined> {
  const value = await store.get(KEY);
  const head = fromHex(group);
  if (value === undefined || head.some((byte, at) => byte !== value[at])) return undefined;
  return value.subarray(GROUP_BYTES);
}
