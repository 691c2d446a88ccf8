/**
 * Whoever started the agent and minds it (systemd on a device). Nothing here waits or throws: an agent
 * whose service manager cannot be told goes on working.
 */
export interface ServiceManager {
  /** Without a `watchdog` call for this long the agent is killed and restarted; undefined: nobody watches. */
  readonly watchdogIntervalMs: number | undefined;
  /** The agent serves: what depends on it may start. */
  ready(): void;
  /** The agent was asked to stop and is about to. */
  stopping(): void;
  /** One line for whoever looks at the service: `12 updates queued, uplink main up`. */
  status(text: string): void;
  /** Event loop and store are alive. Call it at a third of `watchdogIntervalMs`, and only while it is true. */
  watchdog(): void;
}
