import * as Type from "typebox";
import { httpsUplinkOptions } from "./https-options.ts";
import { mqttUplinkOptions } from "./mqtt-options.ts";
import { natsUplinkOptions } from "./nats-options.ts";
import { neighbourUplinkOptions } from "./neighbour-options.ts";
import { sparkplugUplinkOptions } from "./sparkplug-options.ts";

const uplinkEntry = Type.Union([
  mqttUplinkOptions,
  httpsUplinkOptions,
  natsUplinkOptions,
  sparkplugUplinkOptions,
  neighbourUplinkOptions,
]);

/** Settings under `uplinks`: where updates go, and in which order of preference. */
export const uplinkOptions = Type.Array(uplinkEntry, {
  default: [],
  maxItems: 16,
  description: "Where updates go: the best uplink that is up carries them.",
});

/** One entry of `uplinks`; `kind` says which. */
export type UplinkOptions = Type.Static<typeof uplinkEntry>;

/** Settings of a `kind: mqtt` uplink. */
export type MqttUplinkSettings = Type.Static<typeof mqttUplinkOptions>;
/** Settings of a `kind: https` uplink. */
export type HttpsUplinkSettings = Type.Static<typeof httpsUplinkOptions>;
/** Settings of a `kind: nats` uplink. */
export type NatsUplinkSettings = Type.Static<typeof natsUplinkOptions>;
/** Settings of a `kind: neighbour` uplink. */
export type NeighbourUplinkSettings = Type.Static<typeof neighbourUplinkOptions>;
/** Settings of a `kind: sparkplug` uplink. */
export type SparkplugUplinkSettings = Type.Static<typeof sparkplugUplinkOptions>;

/** @returns where an uplink leads as far as its settings say, without credentials */
export function urlOf(uplink: UplinkOptions): string {
  return uplink.kind === "neighbour" ? "mesh:" : uplink.url;
}
