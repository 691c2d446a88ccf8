import mqttPacket from "mqtt-packet";

/** Without this, mqtt-packet makes 65,536 small buffers when it writes its first packet: seven megabytes for good. */
export function forgoNumberCache(): void {
  mqttPacket.writeToStream.cacheNumbers = false;
}
