import { UserGate, type UserGateParts } from "../access/user-gate.ts";
import type { BrokerGate } from "../platform/broker-gate.ts";
import type { BrokerOptions } from "../readings/broker-options.ts";

/** What the gate needs beyond its settings. */
export interface BrokerGateParts extends Omit<UserGateParts, "users" | "anonymous"> {
  /** @returns the first line of a file. @throws Error naming the setting. */
  readonly readLine: (path: string, setting: string) => string;
}

/**
 * @returns who may use the embedded broker, by its settings; undefined when everybody may do everything, so that
 * nobody is asked for each message
 * @throws Error naming a `passwordFile` that can not be read or holds no hash
 */
export function createBrokerGate(
  { users, anonymous }: Pick<BrokerOptions, "users" | "anonymous">,
  { readLine, ...parts }: BrokerGateParts,
): BrokerGate | undefined {
  const allow = anonymous.allow ?? users.length === 0;
  const { publish, subscribe } = anonymous;
  if (users.length === 0 && allow && publish.includes("#") && subscribe.includes("#"))
    return undefined;
  const hashIn = (path: string, at: number): string => {
    const setting = `mqtt.broker.users.${at}.passwordFile`;
    const line = readLine(path, setting).trim();
    if (!line.startsWith("$scrypt$"))
      throw new Error(
        `${setting}: ${path} does not begin with a hash; write into it what "agent-mesh mqtt hash-password" prints`,
      );
    return line;
  };
  return new UserGate({
    ...parts,
    users: users.map(({ passwordFile, passwordHash, ...user }, at) => ({
      ...user,
      passwordHash: passwordFile === undefined ? passwordHash : hashIn(passwordFile, at),
    })),
    anonymous: { ...anonymous, allow },
  });
}
