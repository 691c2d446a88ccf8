import { X509Certificate } from "node:crypto";
import { lookup } from "node:dns/promises";
import { readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { Config } from "../../config/schema.ts";
import { type Check, codeOf, type Finding, fail, ok, skipped, warn, wordsOf } from "./finding.ts";

const connectTimeoutMs = 5000;
const expirySoonMs = 30 * 24 * 3600 * 1000;

function tryToListen(host: string, port: number): Promise<unknown> {
  return new Promise((done) => {
    const server = createServer();
    server.once("error", done);
    server.listen({ host, port, exclusive: true }, () => server.close(() => done(undefined)));
  });
}

async function checkPort(setting: string, host: string, port: number): Promise<Finding> {
  const subject = `port ${port}`;
  if (port === 0) return ok(`${setting}.port`, "any free port");
  const error = await tryToListen(host, port);
  if (error === undefined) return ok(subject, `free on ${host}, for ${setting}`);
  const fixes: Record<string, [detail: string, fix: string]> = {
    EADDRINUSE: [
      `${host}:${port} is taken by another program`,
      `'sudo ss -ltnp sport = :${port}' names it; stop it, or set ${setting}.port`,
    ],
    EACCES: [`${host}:${port} may only be opened by root`, `set ${setting}.port to 1024 or more`],
    EADDRNOTAVAIL: [
      `${host} is no address of this device`,
      `set ${setting}.host to 127.0.0.1, 0.0.0.0 or one of 'ip -brief address'`,
    ],
  };
  const [detail, fix] = fixes[codeOf(error)] ?? [
    wordsOf(error),
    `set ${setting}.host and ${setting}.port`,
  ];
  return fail(subject, detail, fix);
}

function reach(host: string, port: number): Promise<unknown> {
  return new Promise((done) => {
    const socket = connect({ host, port, timeout: connectTimeoutMs });
    const end = (result?: unknown): void => {
      socket.destroy();
      done(result);
    };
    socket.once("connect", () => end());
    socket.once("timeout", () => end(new Error(`no answer in ${connectTimeoutMs / 1000} s`)));
    socket.once("error", end);
  });
}

const defaultPorts: Readonly<Record<string, number>> = {
  "mqtts:": 8883,
  "https:": 443,
  "http:": 80,
  "nats:": 4222,
  "tls:": 4222,
};

async function checkServer(subject: string, setting: string, address: string): Promise<Finding> {
  const url = new URL(address);
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = Number(url.port) || (defaultPorts[url.protocol] ?? 1883);
  try {
    await lookup(host);
  } catch {
    const fix = `correct ${setting}, or the device's DNS ('resolvectl status'); 'getent hosts ${host}' should answer`;
    return fail(subject, `the name ${host} is not known`, fix);
  }
  const error = await reach(host, port);
  if (error === undefined) return ok(subject, `${host}:${port} accepts connections`);
  const fix = `start the server there, open the port in its firewall, or correct ${setting}`;
  return fail(subject, `${host}:${port} can not be reached: ${wordsOf(error)}`, fix);
}

function checkCertificate(
  subject: string,
  setting: string,
  file: string,
  nowMs: number,
): Finding[] {
  const { validTo, subject: name } = new X509Certificate(readFileSync(file));
  const endMs = Date.parse(validTo);
  if (endMs < nowMs) {
    return [
      fail(
        subject,
        `${file} (${name}) expired on ${validTo}`,
        `put a new certificate at ${setting}`,
      ),
    ];
  }
  if (endMs - nowMs < expirySoonMs) {
    return [
      warn(
        subject,
        `${file} (${name}) expires on ${validTo}`,
        `put a new certificate at ${setting}`,
      ),
    ];
  }
  return [];
}

interface Credentials {
  readonly passwordFile?: string;
  readonly tokenFile?: string;
  readonly credentialsFile?: string;
  readonly tls?: {
    readonly caFile?: string;
    readonly certFile?: string;
    readonly keyFile?: string;
  };
}

function checkCredentials(subject: string, setting: string, options: Credentials): Finding[] {
  const { passwordFile, tokenFile, credentialsFile } = options;
  const secrets = { passwordFile, tokenFile, credentialsFile };
  const files = { ...secrets, ...options.tls };
  return Object.entries(files).flatMap(([name, file]) => {
    if (file === undefined || !name.endsWith("File")) return [];
    const key = Object.hasOwn(secrets, name) ? `${setting}.${name}` : `${setting}.tls.${name}`;
    try {
      if (name === "certFile" || name === "caFile")
        return checkCertificate(subject, key, file, Date.now());
      readFileSync(file);
      return [];
    } catch (error) {
      const fix = `correct ${key}, or let the agent's user read it: 'sudo chgrp agent-mesh ${file}; sudo chmod 640 ${file}'`;
      return [fail(subject, `${file} can not be used: ${wordsOf(error)}`, fix)];
    }
  });
}

async function checkListeners(config: Config): Promise<Finding[]> {
  const { broker } = config.mqtt;
  const api = await checkPort("api", config.api.host, config.api.port);
  return broker.embedded ? [api, await checkPort("mqtt.broker", broker.host, broker.port)] : [api];
}

/** Ports to open, and servers to reach. */
export const checkNetwork: Check = async ({ config, running }) => {
  if (config === undefined) return [skipped("network", "the configuration comes first")];
  const found: Finding[] =
    running === undefined
      ? await checkListeners(config)
      : [ok("ports", `held by the running agent (process ${running.pid})`)];
  const { broker, connect: client } = config.mqtt;
  if (!broker.embedded && client.url !== undefined) {
    found.push(...checkCredentials("MQTT broker", "mqtt.connect", client));
    found.push(await checkServer("MQTT broker", "mqtt.connect.url", client.url));
  }
  if (config.uplinks.length === 0) {
    found.push(skipped("uplinks", "none configured: readings are kept until there is one"));
  }
  for (const [index, uplink] of config.uplinks.entries()) {
    const subject = `uplink ${uplink.name}`;
    if (uplink.kind === "neighbour") {
      found.push(skipped(subject, "leads through whichever neighbour relays: agent-mesh relay"));
      continue;
    }
    found.push(...checkCredentials(subject, `uplinks.${index}`, uplink));
    found.push(await checkServer(subject, `uplinks.${index}.url`, uplink.url));
  }
  return found;
};
