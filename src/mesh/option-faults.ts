import { meshAccessFaults } from "../access/mesh-access-options.ts";
import type { MeshOptions } from "./options.ts";

const ADDRESS =
  /^\/(ip4|ip6|dns|dns4|dns6|dnsaddr)\/[^/\s]+(\/(tcp|udp)\/\d{1,5}|\/quic-v1|\/ws|\/wss|\/tls|\/webrtc-direct|\/webrtc|\/sni\/[^/\s]+|\/certhash\/[^/\s]+|\/p2p\/[^/\s]+|\/p2p-circuit)*$/;

/** Ed25519 keys as peer ids: an identity multihash in base58btc. */
const PEER_ID = /^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/;

/** @returns what each key of the mesh allows and their combination does not */
export function meshFaults(mesh: MeshOptions): string[] {
  const faults: string[] = [];
  const { transports, networkKeyFile, host } = mesh;
  for (const key of ["bootstrap", "announce"] as const)
    mesh[key].forEach((address, at) => {
      if (!ADDRESS.test(address))
        faults.push(
          `mesh.${key}.${at} "${address}" is no multiaddress, such as /ip4/192.0.2.7/tcp/4001 or /dns4/hub.example/tcp/4001`,
        );
    });
  if (networkKeyFile !== undefined)
    for (const transport of ["quic", "webrtc"] as const)
      if (transports.includes(transport))
        faults.push(
          `mesh.transports has ${transport}, which can not keep others out by mesh.networkKeyFile; leave one of them out`,
        );
  if (!/^[0-9.]+$/.test(host) && !host.includes(":") && host !== "localhost")
    faults.push(`mesh.host "${host}" must be an IP address of this device, or 0.0.0.0 for all`);
  faults.push(...meshAccessFaults(mesh.access, (text) => PEER_ID.test(text)));
  const ports = new Map<number, string>();
  const taken = [
    ...(transports.includes("tcp") ? ([["port", mesh.port]] as const) : []),
    ...(transports.includes("ws") ? ([["webSocketPort", mesh.webSocketPort]] as const) : []),
  ];
  for (const [name, port] of taken) {
    const other = port === 0 ? undefined : ports.get(port);
    if (other !== undefined)
      faults.push(`mesh.${name} ${port} is taken by mesh.${other}; choose another, or 0`);
    ports.set(port, name);
  }
  return faults;
}
