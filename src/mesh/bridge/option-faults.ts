import { isLoopback } from "../../platform/loopback.ts";
import type { BridgeOptions } from "./options.ts";

/** @returns whether the bridge has anything to do */
export function isBridgeOn({ listen, connect }: BridgeOptions): boolean {
  return listen.enabled || connect.length > 0;
}

/**
 * @param meshOn whether the agent takes part in the mesh
 * @returns what each key of the bridge allows and their combination does not
 */
export function bridgeFaults(bridge: BridgeOptions, meshOn: boolean): string[] {
  const { listen, connect, retryMinMs, retryMaxMs, timeoutMs, timeoutMsMax } = bridge;
  const faults = [
    ...connect.flatMap((gateway, at) => gatewayFaults(gateway, `bridge.connect.${at}`)),
    ...nameFaults(connect),
  ];
  if (isBridgeOn(bridge) && !meshOn) {
    const key = listen.enabled ? "bridge.listen.enabled" : "bridge.connect";
    faults.push(`${key} needs the mesh, which the bridge is part of: set mesh.enabled=true`);
  }
  if (listen.enabled && listen.tls === undefined && !isLoopback(listen.host))
    faults.push(
      `bridge.listen.host ${listen.host} lets other machines in, and their tokens would travel in the open: set bridge.listen.tls, or bridge.listen.host=127.0.0.1 behind a proxy that speaks TLS`,
    );
  if (retryMinMs > retryMaxMs) faults.push("bridge.retryMaxMs must not be below retryMinMs");
  if (timeoutMs > timeoutMsMax) faults.push("bridge.timeoutMsMax must not be below timeoutMs");
  return faults;
}

function gatewayFaults(
  { url, tokenFile, tls }: BridgeOptions["connect"][number],
  key: string,
): string[] {
  const faults: string[] = [];
  if (!URL.canParse(url) || new URL(url).port === "")
    return [
      `${key}.url "${url}" must name a host and a port, such as grpcs://gateway.example:5001`,
    ];
  const { protocol, hostname } = new URL(url);
  if (protocol === "grpc:") {
    if (tokenFile !== undefined && !isLoopback(hostname))
      faults.push(`${key}.tokenFile: a token is sent to other machines over grpcs:// only`);
    if (tls !== undefined) faults.push(`${key}.tls needs a URL that begins with grpcs://`);
  }
  if ((tls?.certFile === undefined) !== (tls?.keyFile === undefined))
    faults.push(`${key}.tls: certFile and keyFile go together`);
  if (tokenFile === undefined && tls?.certFile === undefined)
    faults.push(
      `${key} has neither tokenFile nor tls.certFile, and a gateway lets nobody in without one of them`,
    );
  return faults;
}

function nameFaults(connect: BridgeOptions["connect"]): string[] {
  const names = new Map<string, number>();
  return connect.flatMap(({ name }, at) => {
    const first = names.get(name);
    names.set(name, first ?? at);
    return first === undefined
      ? []
      : [`bridge.connect.${at}.name "${name}" is taken by bridge.connect.${first}`];
  });
}
