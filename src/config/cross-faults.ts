import { coordinationFaults } from "../coordination/option-faults.ts";
import { bridgeFaults } from "../mesh/bridge/option-faults.ts";
import { meshFaults } from "../mesh/option-faults.ts";
import { relayFaults } from "../mesh/relay/options.ts";
import { topicMatcher } from "../readings/topic-filter.ts";
import { uplinkFaults } from "../uplink/option-faults.ts";
import { brokerFaults } from "./broker-faults.ts";
import type { Config } from "./schema.ts";

/** @returns what each key allows and their combination does not. */
export function crossFaults(config: Config): readonly string[] {
  const faults: string[] = [];
  const { broker, connect } = config.mqtt;
  if (!broker.embedded && connect.url === undefined)
    faults.push("mqtt.connect.url is missing: mqtt.broker.embedded is false");
  if (broker.embedded && connect.url !== undefined)
    faults.push(
      "mqtt.connect.url needs mqtt.broker.embedded=false; one of the two brings readings in",
    );
  if (broker.embedded) faults.push(...brokerFaults(broker));
  config.mqtt.topics.forEach(({ filter, keep, key }, at) => {
    if (key !== undefined && keep !== "latest")
      faults.push(`mqtt.topics.${at}.key needs keep: latest; otherwise every update is sent`);
    try {
      topicMatcher(filter);
    } catch (error) {
      faults.push(`mqtt.topics.${at}.filter: ${(error as Error).message}`);
    }
  });
  faults.push(...uplinkFaults(config.uplinks, config.mesh.enabled === true));
  faults.push(...meshFaults(config.mesh));
  faults.push(...relayFaults(config.relay, config.mesh.enabled === true));
  faults.push(...bridgeFaults(config.bridge, config.mesh.enabled === true));
  faults.push(...coordinationFaults(config.coordination));
  const { learning, consensus, coordination, mesh } = config;
  if (
    learning.enabled &&
    !(mesh.enabled === true && coordination.roles.enabled && consensus.enabled)
  )
    faults.push(
      "learning.enabled needs mesh.enabled, coordination.roles.enabled and consensus.enabled: rounds are decided by the fleet's committee",
    );
  for (const key of ["topicsUp", "topicsDown"] as const)
    config.bridge[key].forEach(({ filter }, at) => {
      try {
        topicMatcher(filter);
      } catch (error) {
        faults.push(`bridge.${key}.${at}.filter: ${(error as Error).message}`);
      }
    });
  if (config.outbox.updateBytesMax * 4 > config.outbox.bytesMax)
    faults.push("outbox.bytesMax must hold at least four updates of outbox.updateBytesMax");
  return faults;
}
