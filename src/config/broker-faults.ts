import { isLoopback } from "../platform/loopback.ts";
import type { BrokerOptions } from "../readings/broker-options.ts";
import { topicMatcher } from "../readings/topic-filter.ts";

/** @returns what the keys under `mqtt.broker` allow each and do not allow together. */
export function brokerFaults(broker: BrokerOptions): readonly string[] {
  return [...listenerFaults(broker), ...userFaults(broker), ...filterFaults(broker)];
}

function listenerFaults(broker: BrokerOptions): string[] {
  const { plain, tls, users, anonymous } = broker;
  const faults: string[] = [];
  if (!plain && tls === undefined)
    faults.push("mqtt.broker.tls is missing: with mqtt.broker.plain=false nothing listens");
  if (tls?.requireClientCertificate === true && tls.caFile === undefined)
    faults.push("mqtt.broker.tls.caFile is missing: requireClientCertificate needs an authority");
  const certified = tls?.requireClientCertificate === true;
  if (anonymous.allow === false && users.length === 0)
    faults.push("mqtt.broker.users is empty and mqtt.broker.anonymous.allow false: nobody gets in");
  // Who set anonymous.allow has thought about it; who named users too.
  if (users.length > 0 || anonymous.allow !== undefined) return faults;
  if (plain && !isLoopback(broker.host)) faults.push(open("mqtt.broker.host", broker.host));
  const tlsHost = tls?.host ?? broker.host;
  // One fault is enough where both listen at the same address.
  if (tls !== undefined && !certified && !isLoopback(tlsHost) && (!plain || tls.host !== undefined))
    faults.push(open("mqtt.broker.tls.host", tlsHost));
  return faults;
}

/** @returns the fault of a listener that other machines reach and nobody guards. */
function open(setting: string, host: string): string {
  return `${setting} ${host} lets other machines in and nothing says which: name mqtt.broker.users, or set mqtt.broker.tls.requireClientCertificate, or mqtt.broker.anonymous.allow=true to let everybody in, or ${setting}=127.0.0.1`;
}

function userFaults({ users, tls }: BrokerOptions): string[] {
  const faults: string[] = [];
  const names = new Map<string, number>();
  users.forEach(({ name, passwordHash, passwordFile }, at) => {
    const where = `mqtt.broker.users.${at}`;
    const first = names.get(name);
    if (first !== undefined)
      faults.push(`${where}.name "${name}" is taken by mqtt.broker.users.${first}`);
    names.set(name, at);
    if (passwordHash !== undefined && passwordFile !== undefined)
      faults.push(`${where} has passwordHash and passwordFile; keep one`);
    if (passwordHash === undefined && passwordFile === undefined && tls?.caFile === undefined)
      faults.push(
        `${where} has neither passwordHash nor passwordFile, and without mqtt.broker.tls.caFile no certificate can stand for it`,
      );
  });
  return faults;
}

function filterFaults({ users, anonymous }: BrokerOptions): string[] {
  const faults: string[] = [];
  const check = (where: string, filters: readonly string[]): void =>
    filters.forEach((filter, at) => {
      try {
        topicMatcher(filter);
      } catch (error) {
        faults.push(`${where}.${at}: ${(error as Error).message}`);
      }
    });
  [...users.entries()].forEach(([at, { publish, subscribe }]) => {
    check(`mqtt.broker.users.${at}.publish`, publish);
    check(`mqtt.broker.users.${at}.subscribe`, subscribe);
  });
  check("mqtt.broker.anonymous.publish", anonymous.publish);
  check("mqtt.broker.anonymous.subscribe", anonymous.subscribe);
  return faults;
}
