// Before the library: what it is built on looks for it when it is loaded.
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import type { Random } from "../random.ts";
import type { PeerId, Signer } from "../signer.ts";
import { type DeviceKey, ed25519KeyIn, keyPairOf } from "./device-key.ts";

const SCHEME = "agent-mesh:peer:";
const SERIAL_BYTES = 16;
const CERTIFICATE_BYTES_MAX = 16_384;

/** Whom a certificate is about. */
export interface CertificateSubject {
  /** Becomes the common name; at most 64 characters (RFC 5280, `ub-common-name`). */
  readonly agentId: string;
  readonly peerId: PeerId;
  readonly dnsNames: readonly string[];
  readonly ipAddresses?: readonly string[];
}

/** When it is valid, ms since 1970. */
export interface Validity {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** What a certificate says of a device, found to be in order. */
export interface DeviceIdentity extends CertificateSubject, Validity {
  /** Raw Ed25519 key. */
  readonly publicKey: Uint8Array;
}

/** A certificate is none of a device. */
export class CertificateError extends Error {
  override readonly name = "CertificateError";
  readonly code:
    | "certificate.malformed"
    | "certificate.not-valid-now"
    | "certificate.no-peer-id"
    | "certificate.other-key";
  constructor(code: CertificateError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * Makes a self-signed certificate (RFC 5280, RFC 8410) for TLS on either side; others have to be given it, since
 * no authority vouches for it. The peer id stands in it as a URI.
 * @returns PEM
 * @throws RangeError when the common name is too long or the key malformed
 */
export async function selfSignedCertificate(
  key: DeviceKey,
  subject: CertificateSubject,
  validity: Validity,
  random: Random,
): Promise<string> {
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serialFrom(random),
      name: nameOf(subject),
      notBefore: new Date(validity.notBeforeMs),
      notAfter: new Date(validity.notAfterMs),
      keys: await keyPairOf(key),
      signingAlgorithm: { name: "Ed25519" },
      extensions: extensionsOf(subject),
    },
    webcrypto,
  );
  return `${certificate.toString("pem")}\n`;
}

/**
 * Makes a request (PKCS #10, RFC 2986) to have an authority certify the device's key.
 * @returns PEM
 * @throws RangeError when the common name is too long or the key malformed
 */
export async function certificateRequest(
  key: DeviceKey,
  subject: CertificateSubject,
): Promise<string> {
  const request = await Pkcs10CertificateRequestGenerator.create(
    {
      name: nameOf(subject),
      keys: await keyPairOf(key),
      signingAlgorithm: { name: "Ed25519" },
      extensions: extensionsOf(subject),
    },
    webcrypto,
  );
  return `${request.toString("pem")}\n`;
}

/**
 * Finds out which device a certificate belongs to: the peer id in it has to be that of its own key. Who issued it is
 * not looked at: TLS did that, and that the other side holds the key.
 * @param certificate PEM or DER
 * @param nowMs ms since 1970; undefined while the wall clock can not be trusted
 * @throws CertificateError
 */
export function deviceIdentityIn(
  certificate: string | Uint8Array,
  signer: Pick<Signer, "peerIdOf">,
  nowMs: number | undefined,
): DeviceIdentity {
  const read = parse(certificate);
  const notBeforeMs = read.notBefore.getTime();
  const notAfterMs = read.notAfter.getTime();
  if (nowMs !== undefined && (nowMs < notBeforeMs || nowMs > notAfterMs))
    throw new CertificateError("certificate.not-valid-now", "not valid at this time");
  const publicKey = ed25519KeyIn(new Uint8Array(read.publicKey.rawData));
  if (publicKey === undefined)
    throw new CertificateError("certificate.other-key", "its key is none of Ed25519");
  const names = read.getExtension(SubjectAlternativeNameExtension)?.names.items ?? [];
  const of = (type: string): string[] =>
    names.filter((name) => name.type === type).map(({ value }) => value);
  const peerIds = of("url").filter((uri) => uri.startsWith(SCHEME));
  const [uri] = peerIds;
  if (uri === undefined || peerIds.length > 1)
    throw new CertificateError("certificate.no-peer-id", "it names no peer id, or several");
  const peerId = signer.peerIdOf(publicKey);
  if (uri !== `${SCHEME}${peerId}`)
    throw new CertificateError("certificate.other-key", "the peer id in it is not that of its key");
  const [agentId] = read.subjectName.getField("CN");
  return {
    agentId: agentId ?? "",
    peerId,
    publicKey,
    dnsNames: of("dns"),
    ipAddresses: of("ip"),
    notBeforeMs,
    notAfterMs,
  };
}

function parse(certificate: string | Uint8Array): X509Certificate {
  if (certificate.length > CERTIFICATE_BYTES_MAX)
    throw new CertificateError("certificate.malformed", `over ${CERTIFICATE_BYTES_MAX} bytes`);
  try {
    return new X509Certificate(
      typeof certificate === "string" ? certificate : Uint8Array.from(certificate),
    );
  } catch (error) {
    throw new CertificateError("certificate.malformed", "no certificate", { cause: error });
  }
}

function nameOf({ agentId }: CertificateSubject): { CN: string[] }[] {
  if (agentId.length === 0 || agentId.length > 64)
    throw new RangeError("a common name has 1 to 64 characters");
  return [{ CN: [agentId] }];
}

function extensionsOf({ peerId, dnsNames, ipAddresses = [] }: CertificateSubject): Extension[] {
  return [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
    new SubjectAlternativeNameExtension([
      { type: "url", value: `${SCHEME}${peerId}` },
      ...dnsNames.map((value) => ({ type: "dns" as const, value })),
      ...ipAddresses.map((value) => ({ type: "ip" as const, value })),
    ]),
  ];
}

/** Positive, and at least 64 bits of chance (CA/Browser Forum, section 7.1). */
function serialFrom(random: Random): string {
  const bytes = random.bytes(SERIAL_BYTES);
  return Buffer.from([((bytes[0] ?? 0) & 0x3f) | 0x40, ...bytes.subarray(1)]).toString("hex");
}
