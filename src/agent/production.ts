import { createApi } from "../api/server.ts";
import { redacted } from "../config/redact.ts";
import { type Config, configSchema } from "../config/schema.ts";
import type { FirmwareProfile } from "../device/firmware-profile.ts";
import { backoffMs } from "../platform/backoff.ts";
import { LevelStore } from "../platform/level/level-store.ts";
import { LinuxDeviceProbe } from "../platform/linux/linux-device-probe.ts";
import type { Logger } from "../platform/logger.ts";
import { ClientBroker } from "../platform/mqtt/client-broker.ts";
import { EmbeddedBroker } from "../platform/mqtt/embedded-broker.ts";
import { NodeAssetDirectory } from "../platform/node/asset-directory.ts";
import { DataDirectory, readPasswordFile } from "../platform/node/data-directory.ts";
import { nodeHasher } from "../platform/node/hasher.ts";
import type { Installation } from "../platform/node/installation.ts";
import { scryptHasher } from "../platform/node/scrypt-hasher.ts";
import { SystemClock } from "../platform/node/system-clock.ts";
import { SystemRandom } from "../platform/node/system-random.ts";
import { PrometheusRegistry } from "../platform/prometheus/registry.ts";
import { systemdServiceManager } from "../platform/systemd/notify.ts";
import type { AgentPlatform } from "./agent-platform.ts";
import { createBrokerGate } from "./broker-gate.ts";
import { type Agent, startAgent } from "./compose.ts";
import { loadUplinks, passwordOf } from "./production-uplinks.ts";

/** Room kept free beside the store, so that it can be opened on a full disk. */
const RESERVE_BYTES = 8 * 1024 * 1024;
const CONNECT_RETRY = { retryMinMs: 1_000, retryMaxMs: 60_000 };

/** What the process gives an agent. */
export interface ProductionParts {
  readonly config: Config;
  readonly dataDirectory: string;
  readonly installation: Installation;
  readonly logger: Logger;
  readonly firmwareProfiles: () => Promise<readonly FirmwareProfile[]>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
}

/**
 * An agent on the real device.
 * @throws Error in words that name the setting to change
 */
export async function startProductionAgent(parts: ProductionParts): Promise<Agent> {
  const { config, logger } = parts;
  const data = new DataDirectory(parts.dataDirectory);
  const random = new SystemRandom();
  const agentId = config.agent.id ?? data.agentId(random);
  const createUplink = await loadUplinks(config.uplinks);
  const agent = await startAgent(config, agentId, {
    ...platformOf(parts, data, random, logger),
    createUplink,
  });
  return {
    ...agent,
    stop: async () => {
      await agent.stop();
      data.removeRunInfo();
    },
  };
}

function platformOf(
  parts: ProductionParts,
  data: DataDirectory,
  random: SystemRandom,
  logger: Logger,
): Omit<AgentPlatform, "createUplink"> {
  const { installation, config, environment, pid } = parts;
  const clock = new SystemClock();
  return {
    version: installation.version,
    clock,
    random,
    logger,
    hasher: nodeHasher,
    metrics: new PrometheusRegistry(),
    probe: new LinuxDeviceProbe({ dataDirectory: data.path }),
    service: systemdServiceManager({
      env: environment,
      pid,
      onFault: (reason) => logger.warn("could not tell the service manager", { reason }),
    }),
    firmwareProfiles: parts.firmwareProfiles,
    openStore: (onRepaired) =>
      LevelStore.open({
        onRepaired,
        directory: data.storeDirectory,
        logger: logger.child("store"),
        reserveBytes: RESERVE_BYTES,
      }),
    createBroker: ({ broker, connect, topics }, agentId, store) =>
      broker.embedded
        ? new EmbeddedBroker({
            ...broker,
            tls: broker.tls && { ...broker.tls, host: broker.tls.host ?? broker.host, clock },
            gate: createBrokerGate(broker, {
              passwords: scryptHasher,
              hasher: nodeHasher,
              random,
              clock,
              logger: logger.child("access"),
              readLine: readPasswordFile,
            }),
            memory: { store, clock, limits: broker },
            logger: logger.child("mqtt"),
          })
        : new ClientBroker({
            url: connect.url ?? "",
            clientId: connect.clientId ?? `agent-mesh-${agentId}`,
            username: connect.username,
            password: passwordOf(connect, "mqtt.connect"),
            tls: connect.tls,
            protocol: connect.protocol,
            filters: topics.map(({ filter }) => filter),
            keepaliveSeconds: connect.keepaliveSeconds,
            connectTimeoutMs: 10_000,
            receiveMaximum: 1_024,
            sessionExpirySeconds: 7 * 86_400,
            backoffMs: (attempt) => backoffMs(attempt, CONNECT_RETRY, random),
            logger: logger.child("mqtt"),
          }),
    openLearning: async (options) => {
      const { openLearningThread } = await import("./production-learning.ts");
      return openLearningThread(options);
    },
    openMesh: async (options) => {
      const { openLibp2pMesh } = await import("./production-mesh.ts");
      const { identityFile } = data;
      const { version } = installation;
      return openLibp2pMesh(options, {
        identityFile,
        version,
        clock,
        logger: logger.child("mesh"),
      });
    },
    openBridge: async (options, signer) => {
      const { openGrpcBridge } = await import("./production-bridge.ts");
      return openGrpcBridge(options, { signer, clock, random, logger: logger.child("bridge") });
    },
    openFrontDoor: async (context, options) => {
      const api = await createApi(
        {
          ...context,
          configSchema: { ...configSchema },
          effectiveConfig: () => redacted(config),
          assets: {
            page: new NodeAssetDirectory(installation.pageDirectory),
            openapi: new NodeAssetDirectory(installation.openapiDirectory),
            docs: new NodeAssetDirectory(installation.docsDirectory),
          },
        },
        options,
      );
      const { url } = await api.listen();
      return { url, close: () => api.close() };
    },
    keepFirstToken: (token) => data.writeFirstToken(token),
    announce: (info) => data.writeRunInfo(info),
  };
}
