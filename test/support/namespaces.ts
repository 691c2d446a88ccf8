import { execFileSync, spawnSync } from "node:child_process";
import type { Test } from "tap";

/** @returns why network namespaces can not be had here, or false */
export function namespacesMissing(): string | false {
  if (process.getuid?.() !== 0) return "network namespaces need root";
  const name = `probe-${process.pid}`;
  const made = spawnSync("ip", ["netns", "add", name]);
  if (made.status !== 0) return `no network namespaces here: ${made.stderr?.toString().trim()}`;
  spawnSync("ip", ["netns", "delete", name]);
  return false;
}

const run = (program: string, ...args: string[]): string =>
  execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
const ip = (...args: string[]): string => run("ip", ...args);

let count = 0;

/**
 * First three bytes that no interface here has: a run that was killed leaves its switches behind, and two of one subnet hide
 * each other's machines.
 */
function freeSubnet(): string {
  const taken = ip("-o", "-4", "address");
  for (let at = process.pid; at < process.pid + 16_384; at++) {
    const subnet = `10.${64 + ((at >> 8) % 64)}.${at % 256}`;
    if (!taken.includes(` ${subnet}.`)) return subnet;
  }
  throw new Error(
    "every subnet from 10.64.0 to 10.127.255 is taken: remove the switches that tests left behind",
  );
}

/** Machines on one switch, each with a network stack of its own. The test's end takes everything down. */
export class Switch {
  readonly #name: string;
  readonly #subnet: string;
  readonly #hosts: Host[] = [];
  readonly #natted: string[] = [];

  /** @param t whose end ends it */
  constructor(t: Test) {
    const subnet = freeSubnet();
    this.#name = `am${process.pid % 100_000}${count++}`;
    this.#subnet = subnet;
    t.teardown(() => this.#remove());
    ip("link", "add", this.#name, "type", "bridge");
    // This machine is on the switch too, so that the test can ask the agents.
    ip("address", "add", `${subnet}.254/24`, "dev", this.#name);
    ip("link", "set", this.#name, "up");
  }

  /** Adds a machine; the first one has the address `<subnet>.1`. */
  host(): Host {
    const number = this.#hosts.length + 1;
    const name = `${this.#name}-${number}`;
    const [inside, outside] = ["eth0", `${this.#name}v${number}`];
    const address = `${this.#subnet}.${number}`;
    ip("netns", "add", name);
    const host = new Host(name, address, { switchName: this.#name, port: outside });
    this.#hosts.push(host);
    ip("link", "add", outside, "type", "veth", "peer", "name", inside, "netns", name);
    ip("link", "set", outside, "master", this.#name, "up");
    host.ip("link", "set", "lo", "up");
    host.ip("address", "add", `${address}/24`, "dev", inside);
    host.ip("link", "set", inside, "up");
    // Multicast goes nowhere without a route.
    host.ip("route", "add", "default", "via", `${this.#subnet}.254`);
    return host;
  }

  /** Adds a machine behind a router of its own, which hides its address and lets in only what was asked for. */
  behindNat(): Host {
    const router = this.host();
    const number = this.#hosts.length;
    const [name, network] = [`${this.#name}-${number}n`, `192.168.${number}`];
    ip("netns", "add", name);
    this.#natted.push(name);
    router.ip("link", "add", "lan", "type", "veth", "peer", "name", "eth0", "netns", name);
    router.ip("address", "add", `${network}.1/24`, "dev", "lan");
    router.ip("link", "set", "lan", "up");
    const inside = new Host(name, `${network}.2`, { switchName: "", port: "" });
    inside.ip("link", "set", "lo", "up");
    inside.ip("address", "add", `${inside.address}/24`, "dev", "eth0");
    inside.ip("link", "set", "eth0", "up");
    inside.ip("route", "add", "default", "via", `${network}.1`);
    router.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward");
    router.run("iptables", "-t", "nat", "-A", "POSTROUTING", "-o", "eth0", "-j", "MASQUERADE");
    const uninvited = ["-i", "eth0", "-m", "conntrack", "--ctstate", "NEW", "-j", "DROP"];
    router.run("iptables", "-A", "FORWARD", ...uninvited);
    return inside;
  }

  #remove(): void {
    for (const name of this.#natted) spawnSync("ip", ["netns", "delete", name]);
    for (const { name } of this.#hosts) spawnSync("ip", ["netns", "delete", name]);
    spawnSync("ip", ["link", "delete", this.#name]);
  }
}

/** One machine on a switch. */
export class Host {
  readonly name: string;
  readonly address: string;
  readonly #cable: { readonly switchName: string; readonly port: string };

  constructor(
    name: string,
    address: string,
    cable: { readonly switchName: string; readonly port: string },
  ) {
    this.name = name;
    this.address = address;
    this.#cable = cable;
  }

  /** What goes in front of a command to run it there. */
  get prefix(): readonly string[] {
    return ["ip", "netns", "exec", this.name];
  }

  ip(...args: string[]): string {
    return ip("-n", this.name, ...args);
  }

  /** Runs a program there. @returns what it printed */
  run(program: string, ...args: string[]): string {
    return run("ip", "netns", "exec", this.name, program, ...args);
  }

  /** Pulls the cable at the switch: nobody hears anything, and nobody is told. */
  unplug(): void {
    ip("link", "set", this.#cable.port, "nomaster");
  }

  /** Puts the cable back. */
  plugIn(): void {
    ip("link", "set", this.#cable.port, "master", this.#cable.switchName, "up");
  }

  /** Loses this share of what arrives. */
  lose(share: number): void {
    this.#iptables("-A", "INPUT", ...lossRule(share));
  }

  /** Hears nothing of that one and tells it nothing. */
  ignore(other: Host): void {
    this.#iptables("-A", "INPUT", "-s", other.address, "-j", "DROP");
    this.#iptables("-A", "OUTPUT", "-d", other.address, "-j", "DROP");
  }

  /** Undoes {@link lose} and {@link ignore}. */
  heal(): void {
    this.#iptables("-F", "INPUT");
    this.#iptables("-F", "OUTPUT");
  }

  #iptables(...args: string[]): void {
    this.run("iptables", "-w", ...args);
  }
}

function lossRule(share: number): string[] {
  const chance = ["-m", "statistic", "--mode", "random", "--probability", String(share)];
  return [...chance, "-j", "DROP"];
}
