import { readFileSync } from "node:fs";
import type { Broker } from "../../platform/broker.ts";
import type { Logger } from "../../platform/logger.ts";
import { ClientBroker } from "../../platform/mqtt/client-broker.ts";
import { DataDirectory, readPasswordFile } from "../../platform/node/data-directory.ts";
import { FileSink, StreamSink } from "../../platform/node/file-sink.ts";
import { nodeHasher } from "../../platform/node/hasher.ts";
import { SystemClock } from "../../platform/node/system-clock.ts";
import { SystemRandom } from "../../platform/node/system-random.ts";
import { PrometheusRegistry } from "../../platform/prometheus/registry.ts";
import { ReceiverTokens } from "../../receiver/access.ts";
import { BrokerIntake } from "../../receiver/broker-intake.ts";
import type { ReceiverTls } from "../../receiver/http/server.ts";
import type { ReceiverLimits } from "../../receiver/options.ts";
import { openReceiver } from "../../receiver/production.ts";
import { type ReceiverService, startReceiverService } from "../../receiver/service.ts";
import type { ReceiveOptions } from "./options.ts";

const DAY_MS = 86_400_000;
const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 30_000;

/**
 * Opens the store and its roads, and writes `run.json` with the ports taken.
 * @throws Error naming the option to change
 */
export async function runReceiver(
  options: ReceiveOptions,
  logger: Logger,
): Promise<ReceiverService> {
  const tls = tlsOf(options);
  const tokenLines = options.tokenFile === undefined ? "" : read(options.tokenFile, "--token-file");
  const data = new DataDirectory(options.data);
  const sink = sinkOf(options.forwardTo);
  const receiver = await openReceiver({
    dataDirectory: options.data,
    limits: limitsOf(options),
    logger,
    ...(sink === undefined ? {} : { sink }),
  });
  try {
    const tokens = await ReceiverTokens.open({
      store: receiver.store,
      clock: new SystemClock(),
      random: new SystemRandom(),
      hasher: nodeHasher,
    });
    await tokens.ensureAdmin((token) => data.writeFirstToken(token));
    await importTokens(tokens, tokenLines);
    const service = await startReceiverService({
      receiver,
      tokens,
      metrics: new PrometheusRegistry(),
      logger,
      listen: { ...options.listen, ...(tls === undefined ? {} : { tls }) },
      metricsPublic: options.metricsPublic === true,
      ...(options.mqtt === undefined
        ? {}
        : {
            mqtt: {
              broker: brokerOf(options, options.mqtt, logger),
              topicPrefix: options.topicPrefix,
            },
          }),
      ...(options.nats === undefined
        ? {}
        : {
            nats: {
              broker: await jetStreamOf(options, options.nats, logger),
              topicPrefix: options.topicPrefix,
            },
          }),
    });
    await data.writeRunInfo({ api: { url: service.url } });
    return {
      ...service,
      async stop() {
        await service.stop();
        await receiver.close();
        if (sink instanceof FileSink) await sink.close();
        data.removeRunInfo();
      },
    };
  } catch (error) {
    await receiver.close();
    throw error;
  }
}

function limitsOf(options: ReceiveOptions): Partial<ReceiverLimits> {
  const { agentsMax, streamsMax, streamsPerAgentMax, updateBytesMax, keepBytes, keepDays } =
    options;
  return {
    agentsMax,
    streamsMax,
    streamsPerAgentMax,
    updateBytesMax,
    keepBytesMax: keepBytes,
    keepMs: keepDays * DAY_MS,
  };
}

async function importTokens(tokens: ReceiverTokens, lines: string): Promise<void> {
  try {
    await tokens.importLines(lines);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`--token-file: ${reason}`, { cause: error });
  }
}

function sinkOf(forwardTo: string | undefined): FileSink | StreamSink | undefined {
  if (forwardTo === undefined) return undefined;
  return forwardTo === "stdout" || forwardTo === "-"
    ? new StreamSink("stdout", process.stdout)
    : new FileSink(forwardTo);
}

function tlsOf(options: ReceiveOptions): ReceiverTls | undefined {
  const { tlsCertFile, tlsKeyFile, tlsCaFile } = options;
  if (tlsCertFile === undefined && tlsKeyFile === undefined) {
    if (tlsCaFile === undefined) return undefined;
    throw new Error("--tls-ca-file is of use with --tls-cert-file and --tls-key-file only");
  }
  if (tlsCertFile === undefined || tlsKeyFile === undefined)
    throw new Error("--tls-cert-file and --tls-key-file belong together; give both");
  return {
    cert: read(tlsCertFile, "--tls-cert-file"),
    key: read(tlsKeyFile, "--tls-key-file"),
    ...(tlsCaFile === undefined ? {} : { ca: read(tlsCaFile, "--tls-ca-file") }),
  };
}

/** Loaded only where it is used, since it is large. */
async function jetStreamOf(options: ReceiveOptions, url: string, logger: Logger): Promise<Broker> {
  const { JetStreamBroker } = await import("../../platform/nats/jetstream-broker.ts");
  const { natsPasswordFile, natsCredsFile } = options;
  return new JetStreamBroker({
    url,
    stream: options.natsStream,
    subjectPrefix: options.topicPrefix.replaceAll("/", "."),
    consumer: options.natsConsumer,
    username: options.natsUsername,
    password:
      natsPasswordFile === undefined
        ? undefined
        : readPasswordFile(natsPasswordFile, "--nats-password-file"),
    credentials:
      natsCredsFile === undefined
        ? undefined
        : Buffer.from(read(natsCredsFile, "--nats-creds-file")),
    caFile: options.natsCaFile,
    connectTimeoutMs: 10_000,
    inFlightMax: 4_096,
    backoffMs: backoff,
    logger: logger.child("nats"),
  });
}

function backoff(attempt: number): number {
  const ceilingMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(10, attempt));
  return Math.round(new SystemRandom().next() * ceilingMs);
}

function brokerOf(options: ReceiveOptions, url: string, logger: Logger): Broker {
  const { mqttUsername, mqttPasswordFile } = options;
  return new ClientBroker({
    url,
    clientId: options.mqttClientId,
    username: mqttUsername,
    password:
      mqttPasswordFile === undefined
        ? undefined
        : readPasswordFile(mqttPasswordFile, "--mqtt-password-file"),
    tls: {
      caFile: options.mqttCaFile,
      certFile: options.mqttCertFile,
      keyFile: options.mqttKeyFile,
    },
    protocol: options.mqttProtocol,
    filters: BrokerIntake.filters(options.topicPrefix),
    filtersSetting: "--topic-prefix",
    keepaliveSeconds: 30,
    connectTimeoutMs: 10_000,
    receiveMaximum: 4_096,
    sessionExpirySeconds: 30 * 86_400,
    backoffMs: backoff,
    logger: logger.child("mqtt"),
  });
}

function read(path: string, option: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${option}: can not read ${path}: ${reason}`, { cause: error });
  }
}
