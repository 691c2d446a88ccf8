import { execFile } from "node:child_process";
import type { ServiceManager } from "../service-manager.ts";

/** What `systemdServiceManager` needs to know; the environment is the process's own. */
export interface SystemdOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly pid: number;
  /** Told when systemd could not be told. */
  readonly onFault: (reason: string) => void;
  /** The program that talks to systemd. */
  readonly program?: string;
}

const programTimeoutMs = 5000;

/** sd_watchdog_enabled(3): the interval counts only when it is meant for this process. */
function watchdogInterval(env: NodeJS.ProcessEnv, pid: number): number | undefined {
  const usec = Number(env["WATCHDOG_USEC"]);
  const forPid = env["WATCHDOG_PID"];
  if (!Number.isSafeInteger(usec) || usec <= 0) return undefined;
  return forPid === undefined || Number(forPid) === pid ? usec / 1000 : undefined;
}

/**
 * Speaks sd_notify(3) through `systemd-notify`, because Node.js has no Unix datagram sockets; the unit
 * therefore needs `NotifyAccess=all`. One helper process runs at a time; what is said meanwhile is said
 * together by the next one.
 */
class SystemdServiceManager implements ServiceManager {
  readonly watchdogIntervalMs: number | undefined;
  readonly #options: SystemdOptions;
  #pending = new Map<string, string>();
  #busy = false;

  constructor(options: SystemdOptions) {
    this.#options = options;
    this.watchdogIntervalMs = watchdogInterval(options.env, options.pid);
  }

  ready(): void {
    this.#say("READY", "1");
  }

  stopping(): void {
    this.#say("STOPPING", "1");
  }

  status(text: string): void {
    this.#say("STATUS", text.replaceAll(/\s+/g, " ").slice(0, 200));
  }

  watchdog(): void {
    this.#say("WATCHDOG", "1");
  }

  #say(name: string, value: string): void {
    this.#pending.set(name, value);
    if (!this.#busy) this.#flush();
  }

  #flush(): void {
    const args = [...this.#pending].map(([name, value]) => `${name}=${value}`);
    this.#pending = new Map();
    this.#busy = true;
    const { env, onFault, program = "systemd-notify" } = this.#options;
    const child = { env: { PATH: env["PATH"], NOTIFY_SOCKET: env["NOTIFY_SOCKET"] } };
    execFile(program, args, { ...child, timeout: programTimeoutMs }, (error, _out, said) => {
      this.#busy = false;
      if (error !== null) onFault(said.trim() || error.message);
      if (this.#pending.size > 0) this.#flush();
    });
  }
}

/** Nobody minds the agent: it was started by hand, or in a container. */
const nobody: ServiceManager = {
  watchdogIntervalMs: undefined,
  ready: () => undefined,
  stopping: () => undefined,
  status: () => undefined,
  watchdog: () => undefined,
};

/** @returns systemd, when it is what started this process and wants to be told; otherwise nobody. */
export function systemdServiceManager(options: SystemdOptions): ServiceManager {
  return options.env["NOTIFY_SOCKET"] ? new SystemdServiceManager(options) : nobody;
}
