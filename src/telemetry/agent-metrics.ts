import type { ConsensusView } from "../consensus/view.ts";
import type { RolesView } from "../coordination/roles/view.ts";
import type { TrailsView } from "../coordination/swarm/view.ts";
import type { TasksView } from "../coordination/tasks/view.ts";
import type { DeviceView, PowerMode } from "../device/view.ts";
import type { LearningView } from "../federated/view.ts";
import type { BridgeView } from "../mesh/bridge/view.ts";
import type { RelayView } from "../mesh/relay/view.ts";
import type { QueueView, WrittenStatus } from "../outbox/view.ts";
import type { BrokerStatus } from "../platform/broker.ts";
import type { Clock } from "../platform/clock.ts";
import type { DeviceSample } from "../platform/device-probe.ts";
import type { KeyValueStore } from "../platform/key-value-store.ts";
import type { MetricSample, MetricsRegistry } from "../platform/metrics-registry.ts";
import type { ReadingsView } from "../readings/view.ts";
import type { UplinkStatus, UplinkView } from "../uplink/view.ts";
import type { Add, Read } from "./add-metric.ts";
import { addBridge } from "./bridge-metrics.ts";
import { addConsensus } from "./consensus-metrics.ts";
import { addLearning } from "./learning-metrics.ts";
import { addRelay } from "./relay-metrics.ts";
import { addRoles } from "./roles-metrics.ts";
import { addTasks } from "./tasks-metrics.ts";
import { addTrails } from "./trails-metrics.ts";

/** What the agent's metrics are read from. */
export interface MetricViews {
  readonly agentId: string;
  readonly version: string;
  readonly startedAtMs: number;
  readonly clock: Clock;
  readonly device: DeviceView;
  readonly queue: QueueView;
  readonly store: KeyValueStore;
  readonly uplinks: UplinkView;
  readonly readings: ReadingsView;
  readonly bridge: BridgeView;
  readonly roles: RolesView;
  readonly tasks: TasksView;
  readonly trails: TrailsView;
  readonly consensus: ConsensusView;
  readonly learning: LearningView;
  readonly relay: RelayView;
  brokerStatus(): BrokerStatus;
}

/** Registers every `agent_mesh_*` metric. What the device lacks has no sample, never a zero. */
export function registerAgentMetrics(registry: MetricsRegistry, views: MetricViews): void {
  const add = (kind: "counter" | "gauge", name: string, help: string, read: Read) =>
    registry.add({ name: `agent_mesh_${name}`, help, kind, read: () => samples(read()) });
  const gauge = add.bind(undefined, "gauge");
  const counter = add.bind(undefined, "counter");

  gauge("info", "Always 1; the labels name the agent.", () => [
    {
      labels: {
        agent_id: views.agentId,
        version: views.version,
        profile: views.device.profile().id,
        architecture: views.device.identity().architecture,
      },
      value: 1,
    },
  ]);
  gauge(
    "start_time_seconds",
    "When the agent started, seconds since 1970.",
    () => views.startedAtMs / 1_000,
  );
  gauge("clock_trusted", "0 while the device's clock is evidently wrong.", () =>
    Number(views.clock.wallTrusted()),
  );
  addResources(gauge, views.device);
  addPower(gauge, counter, views.device);
  addQueue(gauge, counter, views.queue);
  counter(
    "store_repairs_total",
    "Repairs that may have cost readings, since the store was made.",
    () => views.store.generation,
  );
  addReadings(counter, views.readings);
  addBroker(gauge, counter, () => views.brokerStatus());
  addUplinks(gauge, counter, views.uplinks);
  addBridge(gauge, counter, views.bridge);
  addConsensus(gauge, counter, views.consensus);
  addLearning(gauge, counter, views.learning);
  addRoles(gauge, counter, views.roles);
  addTasks(gauge, counter, views.tasks);
  addTrails(gauge, counter, views.trails);
  addRelay(gauge, counter, views.relay);
}

function flag(value: boolean | undefined): number | undefined {
  return value === undefined ? undefined : Number(value);
}

function samples(read: ReturnType<Read>): readonly MetricSample[] {
  if (read === undefined) return [];
  return typeof read === "number" ? [{ value: read }] : read;
}

function addResources(gauge: Add, device: DeviceView): void {
  /** Reads one part of the latest sample, where this device has it. */
  const from =
    <Part extends keyof DeviceSample>(
      part: Part,
      read: (value: Extract<DeviceSample[Part], { available: true }>) => ReturnType<Read>,
    ): Read =>
    () => {
      const value = device.latest()?.sample[part];
      return value?.available === true
        ? read(value as Extract<DeviceSample[Part], { available: true }>)
        : undefined;
    };
  gauge(
    "cpu_used_ratio",
    "Use of all cores together, 0–1.",
    from("cpu", ({ usedPercent }) => (usedPercent === undefined ? undefined : usedPercent / 100)),
  );
  gauge(
    "load1",
    "Load average over one minute.",
    from("cpu", ({ load1 }) => load1),
  );
  gauge(
    "memory_bytes",
    "All memory.",
    from("memory", ({ totalBytes }) => totalBytes),
  );
  gauge(
    "memory_available_bytes",
    "Memory that a new program could have.",
    from("memory", ({ availableBytes }) => availableBytes),
  );
  gauge(
    "temperature_celsius",
    "Temperature of each zone.",
    from("thermal", ({ zones }) =>
      zones.map(({ name, celsius }) => ({ labels: { zone: name }, value: celsius })),
    ),
  );
  gauge(
    "battery_charge_ratio",
    "State of charge, 0–1.",
    from("battery", ({ chargePercent }) =>
      chargePercent === undefined ? undefined : chargePercent / 100,
    ),
  );
  gauge(
    "under_voltage",
    "1 while the supply voltage is too low.",
    from("throttling", ({ underVoltageNow }) => flag(underVoltageNow)),
  );
  gauge(
    "throttled",
    "1 while the processor is throttled.",
    from("throttling", ({ throttledNow }) => flag(throttledNow)),
  );
  gauge(
    "disk_bytes",
    "Size of the file system that holds the agent's data.",
    from("disk", ({ totalBytes }) => totalBytes),
  );
  gauge(
    "disk_free_bytes",
    "Free space there.",
    from("disk", ({ freeBytes }) => freeBytes),
  );
  gauge(
    "process_resident_bytes",
    "Memory the agent itself holds.",
    from("process", ({ residentBytes }) => residentBytes),
  );
}

const MODES: readonly PowerMode[] = ["normal", "saving", "aggressive", "critical"];

function addPower(gauge: Add, counter: Add, device: DeviceView): void {
  gauge("power_mode", "1 for the power mode that holds now, 0 for the others.", () => {
    const { mode } = device.power();
    return MODES.map((name) => ({ labels: { mode: name }, value: Number(name === mode) }));
  });
  counter(
    "power_mode_changes_total",
    "Changes of the power mode.",
    () => device.power().transitions,
  );
}

function addQueue(gauge: Add, counter: Add, queue: QueueView): void {
  const status = () => queue.status();
  gauge("queue_updates", "Updates waiting, by priority.", () =>
    status().updatesByPriority.map(({ priority, updates }) => ({
      labels: { priority: String(priority) },
      value: updates,
    })),
  );
  gauge("queue_bytes", "Bytes of the waiting updates.", () => status().bytes);
  gauge("queue_limit_bytes", "The queue's quota.", () => status().bytesMax);
  gauge("queue_paused", "1 while nothing leaves the queue.", () => Number(status().paused));
  gauge("queue_streams", "Streams that ever had an update.", () => status().streams);
  gauge("queue_oldest_observed_time_seconds", "When the oldest waiting update came in.", () => {
    const { oldestObservedAtMs } = status();
    return oldestObservedAtMs === undefined ? undefined : oldestObservedAtMs / 1_000;
  });
  gauge("queue_store_fault", "1 while the store cannot write.", () =>
    Number(status().storeFault !== undefined),
  );
  gauge("queue_dead_letters", "Dead letters kept.", () => status().deadLetters);
  gauge("queue_dead_letter_bytes", "Bytes they take.", () => status().deadLetterBytes);
  gauge(
    "queue_last_commit_seconds",
    "Duration of the latest durable commit.",
    () => status().lastCommitMs / 1_000,
  );
  counter("queue_appended_total", "Updates taken.", () => status().appended);
  counter("queue_acknowledged_total", "Updates delivered.", () => status().acknowledged);
  counter("queue_shed_total", "Updates dropped to keep the quota.", () => status().shed);
  counter(
    "queue_superseded_total",
    "State-like updates that a newer one replaced in the queue.",
    () => status().superseded,
  );
  counter(
    "queue_lost_total",
    "Queued updates that could not be read back from the disk.",
    () => status().lost,
  );
  counter("queue_expired_total", "Updates that grew too old.", () => status().expired);
  addWear(gauge, counter, () => status().written);
  counter(
    "queue_refused_total",
    "Updates refused for want of room or of a working store.",
    () => status().refused,
  );
  counter("queue_commits_total", "Durable commits.", () => status().commits);
  counter(
    "queue_store_recoveries_total",
    "Times the store was reopened after a failed write.",
    () => status().storeRecoveries,
  );
}

function addWear(gauge: Add, counter: Add, written: () => WrittenStatus): void {
  counter(
    "store_written_bytes_total",
    "Keys and values handed to the store.",
    () => written().bytes,
  );
  counter(
    "store_syncs_total",
    "Durable writes, each with a sync of the disk.",
    () => written().syncs,
  );
  counter(
    "flash_written_bytes_total",
    "Bytes that the process sent to its disks, in whole pages.",
    () => written().deviceBytes,
  );
  gauge(
    "flash_budget_used_ratio",
    "Part of the day's flash budget that is in use; 1 is all of it.",
    () => (written().bytesPerDayMax === 0 ? undefined : written().budgetUsed),
  );
  gauge(
    "commit_linger_seconds",
    "How long a commit waits for company now.",
    () => written().lingerMs / 1_000,
  );
}

function addReadings(counter: Add, readings: ReadingsView): void {
  const totals = () => readings.totals();
  counter("readings_received_total", "Readings taken.", () => totals().received);
  counter("readings_received_bytes_total", "Payload bytes taken.", () => totals().bytes);
  counter("readings_refused_total", "Readings refused.", () => totals().refused);
  counter(
    "readings_dead_lettered_total",
    "Readings set aside with the reason.",
    () => totals().deadLettered,
  );
}

function addBroker(gauge: Add, counter: Add, status: () => BrokerStatus): void {
  const kept = () => status().remembered;
  gauge("mqtt_clients", "Clients connected to the embedded MQTT broker.", () => status().clients);
  counter(
    "mqtt_undelivered_total",
    "Messages that local MQTT subscribers missed because they did not keep up.",
    () => status().undelivered,
  );
  gauge("mqtt_sessions", "Sessions that outlive their connection.", () => kept()?.sessions);
  gauge("mqtt_session_messages", "Messages on disk for them.", () => kept()?.queuedMessages);
  gauge("mqtt_session_bytes", "Bytes of those.", () => kept()?.queuedBytes);
  gauge("mqtt_retained_messages", "Retained messages.", () => kept()?.retained);
  gauge("mqtt_retained_bytes", "Bytes of those.", () => kept()?.retainedBytes);
  counter(
    "mqtt_messages_dropped_total",
    "Messages for sessions, or retained, that no room was left for.",
    () => kept()?.dropped,
  );
  counter(
    "mqtt_messages_expired_total",
    "Messages for sessions that expired before their receiver came.",
    () => kept()?.expired,
  );
  counter(
    "mqtt_connections_refused_total",
    "Connections turned away for their credentials.",
    () => status().refusedConnections,
  );
  counter(
    "mqtt_denied_total",
    "Publishes and subscriptions that were not permitted.",
    () => status().denied,
  );
}

function addUplinks(gauge: Add, counter: Add, uplinks: UplinkView): void {
  const each = (read: (status: UplinkStatus) => number | undefined) => () =>
    uplinks.status().flatMap((status) => {
      const value = read(status);
      return value === undefined ? [] : [{ labels: { uplink: status.name }, value }];
    });
  gauge(
    "uplink_up",
    "1 while the uplink is connected.",
    each(({ state }) => Number(state === "up")),
  );
  gauge(
    "uplink_active",
    "1 for the uplink that carries the updates.",
    each(({ active }) => Number(active)),
  );
  gauge(
    "uplink_in_flight",
    "Updates sent and not yet acknowledged.",
    each(({ inFlight }) => inFlight),
  );
  gauge(
    "uplink_round_trip_seconds",
    "From sending to acknowledgement, latest update.",
    each(({ lastRoundTripMs }) =>
      lastRoundTripMs === undefined ? undefined : lastRoundTripMs / 1_000,
    ),
  );
  counter(
    "uplink_connects_total",
    "Attempts to connect.",
    each(({ attempts }) => attempts),
  );
  counter(
    "uplink_acknowledged_total",
    "Updates that the receiver acknowledged.",
    each(({ acknowledged }) => acknowledged),
  );
  counter(
    "uplink_refused_total",
    "Updates that the receiver refused.",
    each(({ refused }) => refused),
  );
  counter(
    "uplink_skipped_total",
    "Updates that were not sent, since the receiver said that it has them.",
    each(({ skipped }) => skipped),
  );
  counter(
    "uplink_sent_bytes_total",
    "Payload bytes sent.",
    each(({ sentBytes }) => sentBytes),
  );
  counter(
    "uplink_wire_bytes_total",
    "Bytes on the wire both ways.",
    each(({ wireBytes }) => wireBytes),
  );
  counter(
    "uplink_takeovers_total",
    "Times the uplink took the updates over from another.",
    each(({ takeovers }) => takeovers),
  );
  gauge(
    "uplink_day_bytes",
    "Bytes on the wire this UTC day, where they are limited.",
    each(({ dayBytes }) => dayBytes),
  );
  gauge(
    "uplink_day_limit_bytes",
    "That limit.",
    each(({ dayBytesMax }) => dayBytesMax),
  );
}
