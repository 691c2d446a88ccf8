import { topicMatcher } from "../readings/topic-filter.ts";
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
  config.mqtt.topics.forEach(({ filter }, at) => {
    try {
      topicMatcher(filter);
    } catch (error) {
      faults.push(`mqtt.topics.${at}.filter: ${(error as Error).message}`);
    }
  });
  const names = new Map<string, number>();
  config.uplinks.forEach((uplink, at) => {
    const where = `uplinks.${at}`;
    const first = names.get(uplink.name);
    if (first !== undefined)
      faults.push(`${where}.name "${uplink.name}" is taken by uplinks.${first}`);
    names.set(uplink.name, at);
    if (uplink.tls !== undefined && uplink.url.startsWith("mqtt:"))
      faults.push(`${where}.tls needs a url that begins with mqtts://`);
    if ((uplink.tls?.certFile === undefined) !== (uplink.tls?.keyFile === undefined))
      faults.push(`${where}.tls wants certFile and keyFile, or neither`);
    if (uplink.password !== undefined && uplink.passwordFile !== undefined)
      faults.push(`${where} has password and passwordFile; keep one`);
    if (uplink.retryMinMs > uplink.retryMaxMs)
      faults.push(`${where}.retryMinMs is over retryMaxMs`);
  });
  if (config.outbox.updateBytesMax * 4 > config.outbox.bytesMax)
    faults.push("outbox.bytesMax must hold at least four updates of outbox.updateBytesMax");
  return faults;
}
