import type { BridgePrincipal } from "../../platform/bridge.ts";

/**
 * What a gateway that this device attached to may do here.
 * @param tasks tasks that it may ask for; with `*` at the end, all that begin so
 * @returns a principal for `Attachment`; what it publishes is gated by the rules for topics
 */
export function gatewayPrincipal(name: string, tasks: readonly string[]): BridgePrincipal {
  const names = new Set(tasks.filter((task) => !task.endsWith("*")));
  const beginnings = tasks.filter((task) => task.endsWith("*")).map((task) => task.slice(0, -1));
  return {
    name: `gateway ${name}`,
    allows: (action, object) =>
      action === "publish" ||
      (action === "exchange" &&
        (names.has(object) || beginnings.some((beginning) => object.startsWith(beginning)))),
  };
}
