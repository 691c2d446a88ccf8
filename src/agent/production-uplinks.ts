import { readPasswordFile, readSecretFile } from "../platform/node/data-directory.ts";
import type { UplinkConnection } from "../platform/uplink-connection.ts";
import type {
  HttpsUplinkSettings,
  MqttUplinkSettings,
  NatsUplinkSettings,
  SparkplugUplinkSettings,
  UplinkOptions,
} from "../uplink/options.ts";
import type { AgentPlatform, UplinkSurroundings } from "./agent-platform.ts";

type Make<Options> = (
  options: Options,
  agentId: string,
  will: Uint8Array,
  surroundings: UplinkSurroundings,
) => UplinkConnection;

/**
 * Loads what the configured uplinks need, and nothing else: a device without a NATS server has no memory to spare
 * for its library.
 */
export async function loadUplinks(
  uplinks: readonly UplinkOptions[],
): Promise<AgentPlatform["createUplink"]> {
  const has = (kind: UplinkOptions["kind"]): boolean => uplinks.some((each) => each.kind === kind);
  const [mqtt, https, nats, sparkplug] = await Promise.all([
    has("mqtt") ? loadMqtt() : absent,
    has("https") ? loadHttps() : absent,
    has("nats") ? loadNats() : absent,
    has("sparkplug") ? loadSparkplug() : absent,
  ]);
  return (options, ...rest) => {
    if (options.kind === "mqtt") return mqtt(options, ...rest);
    if (options.kind === "https") return https(options, ...rest);
    if (options.kind === "nats") return nats(options, ...rest);
    if (options.kind === "sparkplug") return sparkplug(options, ...rest);
    return absent(options);
  };
}

/** @returns the password of a section of the configuration. @throws Error naming the setting. */
export function passwordOf(
  options: { readonly password?: string; readonly passwordFile?: string },
  section: string,
): string | undefined {
  return secretOf(options.password, options.passwordFile, `${section}.passwordFile`);
}

async function loadMqtt(): Promise<Make<MqttUplinkSettings>> {
  const { MqttUplink } = await import("../platform/mqtt/mqtt-uplink.ts");
  const { Announcer } = await import("../platform/mqtt/home-assistant/announcer.ts");
  const { manufacturerOf } = await import("../platform/mqtt/home-assistant/entity.ts");
  return (options, agentId, will, { identity, version, ...ground }) =>
    new MqttUplink({
      ...options,
      agentId,
      clientId: options.clientId ?? `agent-mesh-${agentId}`,
      password: passwordOf(options, `uplinks.${options.name}`),
      will,
      announcer: new Announcer({
        ...options.homeAssistant,
        ...ground,
        uplinkName: options.name,
        device: {
          agentId,
          version,
          model: identity.model,
          serial: identity.serial,
          manufacturer: manufacturerOf(identity.compatible),
        },
      }),
    });
}

async function loadSparkplug(): Promise<Make<SparkplugUplinkSettings>> {
  const { SparkplugUplink } = await import("../platform/mqtt/sparkplug/sparkplug-uplink.ts");
  const { NodeMemory } = await import("../platform/mqtt/sparkplug/node-memory.ts");
  return (options, agentId, _will, { clock, logger, store }) => {
    const { name, groupId, edgeNodeId = agentId, deviceFrom } = options;
    const layout = JSON.stringify([groupId, edgeNodeId, deviceFrom]);
    return new SparkplugUplink(
      {
        ...options,
        edgeNodeId,
        deviceLevels: deviceFrom,
        deviceSilenceMs: options.deviceSilenceSeconds * 1_000,
        urls: [options.url, ...options.fallbackUrls],
        clientId: options.clientId ?? `agent-mesh-${agentId}-sparkplug`,
        password: passwordOf(options, `uplinks.${name}`),
      },
      { clock, logger, memory: new NodeMemory(store, logger, name, layout) },
    );
  };
}

async function loadHttps(): Promise<Make<HttpsUplinkSettings>> {
  const { HttpsUplink } = await import("../platform/https/https-uplink.ts");
  return (options, agentId) => {
    const { token, tokenFile, name } = options;
    const tokenSetting = `uplinks.${name}.${tokenFile === undefined ? "token" : "tokenFile"}`;
    return new HttpsUplink({
      ...options,
      agentId,
      tokenSetting,
      token: () => secretOf(token, tokenFile, tokenSetting),
    });
  };
}

async function loadNats(): Promise<Make<NatsUplinkSettings>> {
  const { NatsUplink } = await import("../platform/nats/nats-uplink.ts");
  return (options, agentId) => {
    const { username, token, tokenFile, credentialsFile } = options;
    const section = `uplinks.${options.name}`;
    return new NatsUplink({
      ...options,
      agentId,
      credentials: () => ({
        username,
        password: passwordOf(options, section),
        token: secretOf(token, tokenFile, `${section}.tokenFile`),
        ...(credentialsFile === undefined
          ? {}
          : { credentials: readSecretFile(credentialsFile, `${section}.credentialsFile`) }),
      }),
    });
  };
}

/** Stands for a kind that no uplink is of. */
function absent(options: UplinkOptions): never {
  throw new Error(`uplinks.${options.name}: nothing was loaded for kind ${options.kind}`);
}

function secretOf(
  value: string | undefined,
  file: string | undefined,
  setting: string,
): string | undefined {
  return file === undefined ? value : readPasswordFile(file, setting);
}
