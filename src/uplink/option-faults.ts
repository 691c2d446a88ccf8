import type { HttpsUplinkSettings, NatsUplinkSettings, UplinkOptions } from "./options.ts";

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;
/** Schemes without TLS. */
const PLAIN = /^(mqtt|http):/;

/** @returns what each key of `uplinks` allows and their combination does not; every line names its setting. */
export function uplinkFaults(
  uplinks: readonly UplinkOptions[],
  meshIsOn: boolean,
): readonly string[] {
  const faults: string[] = [];
  const names = new Map<string, number>();
  const nodes = new Map<string, number>();
  uplinks.forEach((uplink, at) => {
    const where = `uplinks.${at}`;
    const first = names.get(uplink.name);
    if (first !== undefined)
      faults.push(`${where}.name "${uplink.name}" is taken by uplinks.${first}`);
    names.set(uplink.name, at);
    if (uplink.kind === "neighbour" && !meshIsOn)
      faults.push(`${where} leads through neighbours, which needs mesh.enabled=true`);
    if (uplink.kind === "sparkplug") {
      const node = JSON.stringify([uplink.groupId, uplink.edgeNodeId]);
      const twin = nodes.get(node);
      // An edge node is connected to one server at a time (Sparkplug 3.0 section 5.11).
      if (twin !== undefined)
        faults.push(
          `${where} is the same Sparkplug edge node as uplinks.${twin}; give that one fallbackUrls`,
        );
      nodes.set(node, at);
    }
    faults.push(...faultsOf(uplink).map((fault) => `${where}${fault}`));
  });
  return faults;
}

function faultsOf(uplink: UplinkOptions): string[] {
  const faults: string[] = [];
  if (uplink.retryMinMs > uplink.retryMaxMs) faults.push(".retryMinMs is over retryMaxMs");
  if (uplink.kind === "neighbour") return faults;
  const { tls, url } = uplink;
  if (!URL.canParse(url)) return [".url is no URL"];
  if (tls !== undefined && PLAIN.test(url))
    faults.push(`.tls needs a url that begins with ${url.split(":", 1)[0]}s://`);
  if ((tls?.certFile === undefined) !== (tls?.keyFile === undefined))
    faults.push(".tls wants certFile and keyFile, or neither");
  for (const secret of ["password", "token"] as const) {
    const keys = Object.keys(uplink);
    if (keys.includes(secret) && keys.includes(`${secret}File`))
      faults.push(` has ${secret} and ${secret}File; keep one`);
  }
  if (uplink.kind === "https") faults.push(...httpsFaults(uplink));
  if (uplink.kind === "nats") faults.push(...natsFaults(uplink));
  return faults;
}

function httpsFaults({
  url,
  allowPlain,
  stallTimeoutMs,
  timeoutMs,
}: HttpsUplinkSettings): string[] {
  const { protocol, hostname } = new URL(url);
  const faults: string[] = [];
  if (protocol === "http:" && !allowPlain && !LOOPBACK.test(hostname))
    faults.push(".url must begin with https://, or set allowPlain: true to send in the clear");
  if (stallTimeoutMs < timeoutMs)
    faults.push(".stallTimeoutMs is under timeoutMs: a batch would be given up too early");
  return faults;
}

function natsFaults({ credentialsFile, username, token, tokenFile }: NatsUplinkSettings): string[] {
  const ways = [credentialsFile, username, token ?? tokenFile].filter((way) => way !== undefined);
  return ways.length > 1
    ? [" has more than one of credentialsFile, username and token; keep one"]
    : [];
}
