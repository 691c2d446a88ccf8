import { type Command, InvalidArgumentError, Option } from "commander";
import type { ServiceStatus } from "../receiver/service.ts";
import { bytes, plural } from "./output.ts";
import type { ReceiveOptions } from "./receive/options.ts";
import { stopSignal } from "./stop-signal.ts";

const PROGRESS_INTERVAL_MS = 10_000;
const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
  T: 2 ** 40,
};

/** Adds `agent-mesh receive`: the far end of the road, which takes every update once. */
export function registerReceive(program: Command): void {
  program
    .command("receive")
    .description(
      "take updates of agents over HTTP, MQTT and NATS, keep each once, and pass them on",
    )
    .addOption(
      new Option("--listen <host:port>", "where agents reach it; port 0: any free one")
        .argParser(address)
        .default({ host: "127.0.0.1", port: 8090 }, "127.0.0.1:8090"),
    )
    .option("--data <dir>", "where updates, marks and tokens are kept", "./receiver-data")
    .option("--tls-cert-file <file>", "certificate (PEM) to serve HTTPS with")
    .option("--tls-key-file <file>", "its key (PEM)")
    .option("--tls-ca-file <file>", "authority (PEM) that has to have signed agents' certificates")
    .option("--token-file <file>", "agents' tokens to take over, lines of agent-id:token")
    .option("--metrics-public", "serve /metrics without a token")
    .option("--mqtt <url>", "broker that agents publish to, mqtt:// or mqtts://", mqttUrl)
    .option("--mqtt-client-id <id>", "name of the session there", "agent-mesh-receiver")
    .option("--mqtt-username <name>", "user name there")
    .option("--mqtt-password-file <file>", "file whose first line is the password")
    .option("--mqtt-ca-file <file>", "authority (PEM) of the broker's certificate")
    .option("--mqtt-cert-file <file>", "our own certificate (PEM)")
    .option("--mqtt-key-file <file>", "its key (PEM)")
    .option("--mqtt-protocol <version>", "5 or 3.1.1", protocol, "5")
    .option("--nats <url>", "NATS server that agents publish to, nats:// or tls://", natsUrl)
    .option("--nats-stream <name>", "JetStream stream there, which has to exist", "AGENT_MESH")
    .option("--nats-consumer <name>", "name of the durable consumer there", "agent-mesh-receiver")
    .option("--nats-username <name>", "user name there")
    .option("--nats-password-file <file>", "file whose first line is the password")
    .option("--nats-creds-file <file>", "credentials file there")
    .option("--nats-ca-file <file>", "authority (PEM) of the server's certificate")
    .option("--topic-prefix <prefix>", "what agents' topics and subjects begin with", "agent-mesh")
    .option("--forward-to <file>", "append every update to this file, or write it to stdout")
    .option(
      "--keep-bytes <size>",
      "oldest updates go above this, for example 10G; 0: never",
      size,
      10 * 2 ** 30,
    )
    .option("--keep-days <days>", "updates go after this long; 0: never", whole, 0)
    .option("--agents-max <n>", "agents that may be known", whole, 10_000)
    .option("--streams-max <n>", "streams that may be known in all", whole, 100_000)
    .option("--streams-per-agent-max <n>", "streams of one agent", whole, 10_000)
    .option("--update-bytes-max <size>", "largest update", size, 2 * 2 ** 20)
    .option("--json", "write log lines as JSON even to a terminal")
    .action(receive);
}

async function receive(options: ReceiveOptions): Promise<void> {
  const [{ runReceiver }, { PinoLogger }, { logWriter }] = await Promise.all([
    import("./receive/run-receiver.ts"),
    import("../platform/pino/pino-logger.ts"),
    import("../platform/pino/log-writer.ts"),
  ]);
  const terminal = process.stderr.isTTY && options.json !== true;
  const format = terminal ? "terminal" : process.env["JOURNAL_STREAM"] ? "journal" : "json";
  const logger = PinoLogger.create({
    level: "info",
    write: logWriter(format, (text) => process.stderr.write(text)),
  });
  const signal = stopSignal();
  const running = await runReceiver(options, logger);
  logger.info("receiver started", {
    url: running.url,
    data: options.data,
    ...(options.mqtt === undefined ? {} : { mqtt: options.mqtt.replace(/\/\/[^@/]*@/, "//") }),
  });
  const progress = terminal
    ? setInterval(() => process.stderr.write(progressLine(running.status())), PROGRESS_INTERVAL_MS)
    : undefined;
  logger.info("stopping", { signal: await signal });
  clearInterval(progress);
  await running.stop();
  logger.info("stopped");
}

function progressLine(status: ServiceStatus): string {
  const parts = [
    `${plural(status.accepted, "update")} taken`,
    `${status.duplicates} twice`,
    `${status.refused} refused`,
    plural(status.agents, "agent"),
    `${bytes(status.bytes)} kept`,
    `${bytes(status.bytesReceived)} over the wire`,
  ];
  return `${parts.join(", ")}\n`;
}

function address(text: string): { host: string; port: number } {
  const colon = text.lastIndexOf(":");
  const host = text.slice(0, Math.max(0, colon)).replace(/^\[|\]$/g, "");
  const port = Number(text.slice(colon + 1) || Number.NaN);
  if (host === "" || !Number.isInteger(port) || port < 0 || port > 65_535)
    throw new InvalidArgumentError("Write it like 0.0.0.0:8090 or [::]:8090.");
  return { host, port };
}

function mqttUrl(text: string): string {
  if (!URL.canParse(text) || !/^mqtts?:$/.test(new URL(text).protocol))
    throw new InvalidArgumentError("Write it like mqtt://broker:1883 or mqtts://broker:8883.");
  return text;
}

function natsUrl(text: string): string {
  if (!URL.canParse(text) || !/^(nats|tls):$/.test(new URL(text).protocol))
    throw new InvalidArgumentError("Write it like nats://server:4222 or tls://server:4222.");
  return text;
}

function protocol(text: string): string {
  if (text === "5" || text === "3.1.1") return text;
  throw new InvalidArgumentError("Only 5 and 3.1.1 are known.");
}

function size(text: string): number {
  const [, amount = "", unit = ""] = /^(\d{1,12})([KMGT]?)(?:i?B)?$/.exec(text) ?? [];
  const value = amount === "" ? Number.NaN : Number(amount) * (UNITS[unit] ?? 1);
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError("Write it like 500M or 10G.");
  return value;
}

function whole(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("It has to be a whole number.");
  return Number(text);
}
