import type { Subscription } from "./subscription-tree.ts";

/** What is asked of Aedes. */
export interface BrokerCore {
  readonly id: string;
  counter: number;
}

/** What is asked of Aedes' clients. */
export interface ClientCore {
  readonly id: string;
  readonly clean?: boolean;
  readonly sessionExpiryInterval?: number;
  /** How many unacknowledged messages it takes at once. */
  readonly receiveMaximum?: number;
}

/** @returns the subscription without what Aedes adds to it. */
export function withoutExtras(subscription: Subscription): Subscription {
  const { topic, qos, rh, rap, nl, subscriptionIdentifier } = subscription;
  return {
    topic,
    qos,
    ...(rh === undefined ? {} : { rh }),
    ...(rap === undefined ? {} : { rap }),
    ...(nl === undefined ? {} : { nl }),
    ...(subscriptionIdentifier === undefined ? {} : { subscriptionIdentifier }),
  };
}
