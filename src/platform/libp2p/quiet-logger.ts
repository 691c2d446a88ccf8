import type { ComponentLogger, Logger as Libp2pLogger } from "@libp2p/interface";
import type { Logger } from "../logger.ts";

const silent = (): void => undefined;

/**
 * What libp2p has to say goes to the log at debug level at most: a peer that is not there is news for libp2p and
 * everyday life for a mesh.
 */
export function quietLogger(logger: Logger): ComponentLogger {
  return {
    forComponent(component) {
      const log = Object.assign(() => undefined, {
        enabled: false,
        trace: silent,
        error: (format: unknown, ...values: unknown[]): void => {
          const cause = values.findLast((value) => value instanceof Error);
          const reason = cause instanceof Error ? cause.message : undefined;
          logger.debug("libp2p", { component, said: String(format).slice(0, 200), reason });
        },
        newScope: (name: string): Libp2pLogger =>
          quietLogger(logger).forComponent(`${component}:${name}`),
      });
      return log;
    },
  };
}
