import type { IConnackPacket, IDisconnectPacket } from "mqtt-packet";

/** MQTT 3.1.1 section 3.2.2.3. */
const CONNACK_3 = [
  "accepted",
  "unacceptable protocol version",
  "client identifier rejected",
  "server unavailable",
  "bad user name or password",
  "not authorized",
];

/** MQTT 5 section 2.4, those of CONNACK, PUBACK, PUBREC and DISCONNECT that mean something went wrong. */
const REASONS_5: Readonly<Record<number, string>> = {
  128: "unspecified error",
  129: "malformed packet",
  130: "protocol error",
  131: "implementation specific error",
  132: "unsupported protocol version",
  133: "client identifier not valid",
  134: "bad user name or password",
  135: "not authorized",
  136: "server unavailable",
  137: "server busy",
  138: "banned",
  139: "server shutting down",
  140: "bad authentication method",
  141: "keep alive timeout",
  142: "session taken over by another client of the same id",
  144: "topic name invalid",
  145: "packet identifier in use",
  147: "receive maximum exceeded",
  149: "packet too large",
  151: "quota exceeded",
  152: "administrative action",
  153: "payload format invalid",
  154: "retain not supported",
  155: "QoS not supported",
  156: "use another server",
  157: "server moved",
  159: "connection rate exceeded",
};

/** Verdicts on one message that trying again will not change. */
const PERMANENT = new Set([135, 144, 149, 153]);

/** @returns the reason in words, with the receiver's own text where it sent one. */
export function reasonText(code: number, text?: string): string {
  const name = REASONS_5[code] ?? `reason code ${code}`;
  return text === undefined ? name : `${name}: ${text}`;
}

/** @returns whether a PUBACK or PUBREC with this code is final for that message. */
export function isPermanent(code: number): boolean {
  return PERMANENT.has(code);
}

const REFUSALS: Readonly<Record<string, number>> = {
  "outbox.full": 151,
  "outbox.busy": 151,
  "outbox.too-many-streams": 151,
  "outbox.closed": 131,
  "outbox.store-failed": 131,
  "mqtt.delivery-failed": 131,
  "broker.store-failed": 131,
};

/**
 * @param code stable code of a refusal, for example `outbox.full`
 * @returns what PUBACK says to an MQTT 5 publisher (section 3.4.2.1): refusals that pass have reason codes that
 * another agent does not take for final
 */
export function refusalReason(code: string): number {
  return REFUSALS[code] ?? 135;
}

/** @returns undefined when the connection was accepted. */
export function connackReason(
  connack: IConnackPacket,
): { reason: string; unsupportedVersion: boolean } | undefined {
  const { reasonCode } = connack;
  // A broker that does not know MQTT 5 answers in its own version, with the return codes of that.
  const returnCode =
    connack.returnCode ?? (reasonCode === undefined || reasonCode >= 128 ? 0 : reasonCode);
  if (reasonCode !== undefined && reasonCode >= 128)
    return {
      reason: `broker refused: ${reasonText(reasonCode, connack.properties?.reasonString)}`,
      unsupportedVersion: reasonCode === 132,
    };
  if (returnCode !== undefined && returnCode > 0)
    return {
      reason: `broker refused: ${CONNACK_3[returnCode] ?? reasonText(returnCode)}`,
      unsupportedVersion: returnCode === 1,
    };
  return undefined;
}

/** @returns why the broker ended the connection. */
export function disconnectReason({ reasonCode, properties }: IDisconnectPacket): string {
  return `broker disconnected: ${reasonText(reasonCode ?? 0, properties?.reasonString)}`;
}
