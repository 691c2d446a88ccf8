import { writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { type Command, InvalidArgumentError } from "commander";
import type { Config } from "../config/schema.ts";
import { type ConfigSourceOptions, readConfig, withConfigSource } from "./config-source.ts";
import { print, printJson, time } from "./output.ts";

const DAY_MS = 86_400_000;
const DAYS_MAX = 36_500;
/** A device's clock may be a little behind the one that made the certificate. */
const BACKDATED_MS = 3_600_000;
const NAMES_MAX = 64;

interface CertificateOptions extends ConfigSourceOptions {
  readonly data: string;
  readonly request?: true;
  readonly days: number;
  readonly name: readonly string[];
  readonly out?: string;
  readonly json?: true;
}

/** Adds `agent-mesh bridge certificate`. */
export function addCertificate(group: Command): void {
  withConfigSource(
    group
      .command("certificate")
      .description(
        "make a certificate of the device's identity key for TLS on the bridge: self-signed, or a request for an authority",
      )
      .option("--data <dir>", "data directory of the agent", "./data")
      .option("--request", "make a certificate signing request (PKCS #10) instead")
      .option("--days <n>", "how long a self-signed one is valid", parseDays, 825)
      .option(
        "--name <name>",
        "DNS name or IP address of the device; may be repeated",
        parseName,
        [],
      )
      .option("--out <file>", "write it there instead of printing it")
      .option("--json", "print JSON"),
  ).action(async (options: CertificateOptions) => {
    const config = await readConfig(options);
    const made = await makeCertificate(config, options);
    const { pem, ...about } = made;
    if (options.out !== undefined) await writeFile(options.out, pem);
    if (options.json === true) printJson(options.out === undefined ? made : about);
    else if (options.out === undefined) process.stdout.write(pem);
    else print(`${options.out}: ${made.kind} of ${made.agentId}, key in ${made.keyFile}`);
  });
}

async function makeCertificate(config: Config, { data, request, days, name }: CertificateOptions) {
  const [{ DataDirectory }, { identityText }, { SystemRandom }, { SystemClock }, keys, x509] =
    await Promise.all([
      import("../platform/node/data-directory.ts"),
      import("../platform/node/identity-file.ts"),
      import("../platform/node/system-random.ts"),
      import("../platform/node/system-clock.ts"),
      import("../platform/libp2p/identity-key.ts"),
      import("../platform/x509/certificates.ts"),
    ]);
  const directory = new DataDirectory(data);
  const random = new SystemRandom();
  const keyFile = config.mesh.identityFile ?? directory.identityFile;
  const identity = keys.identityKeyFrom(identityText(keyFile, keys.generateIdentityPem));
  const { peerId, publicKey } = identity.signer;
  const agentId = config.agent.id ?? directory.agentId(random);
  const subject = {
    agentId,
    peerId,
    dnsNames: name.filter((text) => isIP(text) === 0),
    ipAddresses: name.filter((text) => isIP(text) !== 0),
  };
  const key = { seed: identity.privateKey.raw.subarray(0, 32), publicKey };
  const about = { agentId, peerId, keyFile };
  if (request === true) {
    const pem = await x509.certificateRequest(key, subject);
    return { kind: "certificate request", ...about, pem };
  }
  const clock = new SystemClock();
  if (!clock.wallTrusted())
    throw new Error("the device's clock is not set, so a certificate would not be valid; set it");
  const nowMs = clock.wallMs();
  const validity = { notBeforeMs: nowMs - BACKDATED_MS, notAfterMs: nowMs + days * DAY_MS };
  const pem = await x509.selfSignedCertificate(key, subject, validity, random);
  return { kind: "certificate", ...about, validUntil: time(validity.notAfterMs), pem };
}

function parseDays(text: string): number {
  const days = Number(text);
  if (!Number.isInteger(days) || days < 1 || days > DAYS_MAX)
    throw new InvalidArgumentError(`Write a whole number of days, 1 to ${DAYS_MAX}.`);
  return days;
}

function parseName(text: string, names: readonly string[]): readonly string[] {
  const fits = isIP(text) !== 0 || /^(\*\.)?[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*$/.test(text);
  if (!fits || text.length > 253)
    throw new InvalidArgumentError("Write a DNS name or an IP address.");
  if (names.length >= NAMES_MAX) throw new InvalidArgumentError(`At most ${NAMES_MAX} names.`);
  return [...names, text];
}
