import type { AedesClient, AedesPacket, AedesSubscription } from "./aedes-internals.ts";
import { filterMatches } from "./topic-tree.ts";

/** A message on its way to one client. */
type Forwarded = AedesPacket & { readonly brokerId?: string | null };

/**
 * What a client is sent for a message: with the highest QoS that its matching subscriptions were granted, and
 * all of their identifiers (MQTT 5 section 3.3.4). Aedes by itself looks at one subscription, and does not
 * lower the QoS for one with wildcards.
 */
export function asSubscribed<T extends Forwarded>(client: AedesClient, packet: T): T {
  if (packet.cmd !== "publish") return packet;
  const subscriptions = Object.entries(client.subscriptions);
  const [only] = subscriptions;
  if (subscriptions.length === 1 && only !== undefined && packet.qos <= only[1].qos) return packet;
  const matching: AedesSubscription[] = [];
  for (const [filter, subscription] of subscriptions)
    if (filterMatches(filter, packet.topic)) matching.push(subscription);
  if (matching.length === 0) return packet;
  const granted = matching.reduce<0 | 1 | 2>((most, { qos }) => (qos > most ? qos : most), 0);
  const qos = packet.qos > granted ? granted : packet.qos;
  const identifiers = matching.flatMap(({ si }) => (si === undefined ? [] : [si]));
  // A retained message answers one SUBSCRIBE, and carries the identifier of that one already.
  const merge = identifiers.length > 1 && packet.brokerId !== null;
  if (qos === packet.qos && !merge) return packet;
  const properties = merge
    ? { properties: { ...packet.properties, subscriptionIdentifier: identifiers } }
    : {};
  return { ...packet, qos, ...properties };
}

/** A Will Delay Interval is for the broker; in a PUBLISH it would be a protocol error (MQTT 5 section 3.3.2.3). */
export function dropWillDelay(packet: AedesPacket): void {
  const properties = packet.properties as Record<string, unknown> | undefined;
  if (properties === undefined || !("willDelayInterval" in properties)) return;
  const { willDelayInterval: _, ...rest } = properties;
  packet.properties = rest;
}

/**
 * A session that is resumed with Session Expiry Interval 0 lives until the connection ends (MQTT 5 section
 * 3.1.2.11.2). Aedes would take it for one without a past, and drop what was queued for it.
 */
export function keepResumedSession(client: AedesClient, cleanStart: boolean): void {
  if (client.version === 5 && !cleanStart) client.clean = false;
}

/**
 * Has the client get each message once, whichever of its subscriptions match. Aedes goes by the numbers of
 * messages, and takes one below the last for a repetition; but a message that waits for the disk is numbered
 * before others that need not wait and are delivered first.
 * @param brokerId name of Aedes, by which it looks up the last number
 * @param emissions grows with every message that is handed to subscribers
 */
export function deliverOnceEach(
  client: AedesClient,
  brokerId: string,
  emissions: () => number,
): void {
  let last = -1;
  Object.defineProperty(client.duplicates, brokerId, {
    get: () => (emissions() === last ? Number.POSITIVE_INFINITY : 0),
    set: () => {
      last = emissions();
    },
  });
}
