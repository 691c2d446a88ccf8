import { reason } from "./dial.ts";

/** What libp2p writes of each address that it could not have, among advice that does not fit here, and a stack. */
const FAULT = /^\s*(\/\S+): (?:Error: )?(?:listen )?(.+)$/gm;

/** @returns the error of a node that could not listen, in words that name the settings to change */
export function listenError(error: unknown, listen: readonly string[]): Error {
  const said = reason(error);
  const faults = [...said.matchAll(FAULT)].map(([, address = "", fault = ""]) => {
    const remedy = fault.startsWith("EADDRNOTAVAIL")
      ? "set mesh.host to an address of this device"
      : `set ${settingOf(address)} to another port, or to 0 for any free one`;
    return `${address}: ${fault}; ${remedy}`;
  });
  const told = faults.length > 0 ? faults.join("\n") : `${listen.join(", ")}: ${said}`;
  return new Error(`the mesh can not listen on ${told}`, { cause: error });
}

function settingOf(address: string): string {
  if (/\/wss?$/.test(address)) return "mesh.webSocketPort";
  return address.includes("/webrtc") ? "mesh.webRtcPort" : "mesh.port";
}
