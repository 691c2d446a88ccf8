import type { ResourceMonitor } from "../device/resource-monitor.ts";
import type { Outbox } from "../outbox/outbox.ts";
import type { Broker } from "../platform/broker.ts";
import type { EventSink } from "../platform/event-sink.ts";
import type { KeyValueStore } from "../platform/key-value-store.ts";
import type { UplinkConnection } from "../platform/uplink-connection.ts";
import { Departures } from "../uplink/departures.ts";
import { Dispatcher } from "../uplink/dispatcher.ts";
import type { UplinkOptions } from "../uplink/options.ts";
import { type Presence, Uplink } from "../uplink/uplink.ts";
import type { AgentPlatform } from "./agent-platform.ts";
import type { RelayPart } from "./relay-part.ts";
import { stateDocument } from "./state-document.ts";

/** Rooms that the way out goes through or listens to. */
interface RoadOutParts {
  readonly outbox: Outbox;
  readonly store: KeyValueStore;
  readonly device: ResourceMonitor;
  readonly broker: Broker;
  readonly events: EventSink;
  /** Ways through neighbours, and neighbours' ways through here; absent where the mesh is off. */
  readonly relay: Pick<RelayPart, "connect" | "guests"> | undefined;
}

/**
 * Wires the uplinks: updates go out in the rhythm of the power mode, the agent's state goes with them, and
 * commands that come back reach the local broker below `commands/`.
 */
export function createRoadOut(
  options: readonly UplinkOptions[],
  about: { readonly agentId: string; readonly version: string; readonly startedAtMs: number },
  platform: Pick<AgentPlatform, "clock" | "random" | "logger" | "createUplink">,
  parts: RoadOutParts,
): { dispatcher: Dispatcher; uplinks: readonly Uplink[] } {
  const { clock, random, logger } = platform;
  const { outbox, store, device, broker, events, relay } = parts;
  const roadLogger = logger.child("uplink");
  const departures = new Departures(outbox, relay?.guests);
  const dispatcher = new Dispatcher({ departures, store, clock, logger: roadLogger, events });
  const state = (presence: Presence): Uint8Array =>
    stateDocument({ ...about, presence, mode: device.power().mode });
  const passOn = (topic: string, payload: Uint8Array): void => {
    broker
      .publish({ topic: `commands/${topic}`, payload, qos: 1, retain: false })
      .catch((error: unknown) =>
        roadLogger.warn("could not pass a command on", { topic, reason: String(error) }),
      );
  };
  const surroundings = {
    clock,
    logger: roadLogger,
    version: about.version,
    store,
    identity: device.identity(),
  };
  const connectionOf = (uplink: UplinkOptions): UplinkConnection => {
    if (uplink.kind !== "neighbour")
      return platform.createUplink(uplink, about.agentId, state("offline"), surroundings);
    if (relay !== undefined) return relay.connect(uplink);
    throw new Error(`uplinks.${uplink.name}: there is no way to neighbours here`);
  };
  const uplinks = options.map(
    (uplink) =>
      new Uplink({
        options: uplink,
        connection: connectionOf(uplink),
        store,
        clock,
        random: random.fork(`uplink.${uplink.name}`),
        logger: roadLogger,
        events,
        state,
        changed: () => dispatcher.uplinkChanged(),
        command: (topic, payload) => {
          events.emit("uplink.command", { uplink: uplink.name, topic, bytes: payload.length });
          passOn(topic, payload);
        },
      }),
  );
  device.onPowerChange(({ settings }) => {
    dispatcher.configure(settings);
    dispatcher.stateChanged();
  });
  return { dispatcher, uplinks };
}
