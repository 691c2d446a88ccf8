import { TokenStore } from "../access/tokens.ts";
import type { Config } from "../config/schema.ts";
import { noConsensus } from "../consensus/view.ts";
import { noRoles } from "../coordination/roles/view.ts";
import { noTrails } from "../coordination/swarm/view.ts";
import { noTasks } from "../coordination/tasks/view.ts";
import { chooseFirmwareProfile } from "../device/firmware-profile.ts";
import { ResourceMonitor } from "../device/resource-monitor.ts";
import type { LearningPrograms } from "../federated/running/learning-programs.ts";
import { noLearning } from "../federated/view.ts";
import { BRIDGE_FEATURE } from "../mesh/bridge/hand-over.ts";
import { isBridgeOn } from "../mesh/bridge/option-faults.ts";
import { noBridge } from "../mesh/bridge/view.ts";
import { noRelay } from "../mesh/relay/view.ts";
import { Outbox } from "../outbox/outbox.ts";
import { DeviceReadings } from "../readings/device-reading.ts";
import { Intake } from "../readings/intake.ts";
import { TopicMap } from "../readings/topic-map.ts";
import { registerAgentMetrics } from "../telemetry/agent-metrics.ts";
import { EventLog } from "../telemetry/event-log.ts";
import { registerMeshMetrics } from "../telemetry/mesh-metrics.ts";
import type {
  AgentContext,
  AgentPlatform,
  FrontDoor,
  MeshGround,
  RunInfo,
} from "./agent-platform.ts";
import { BridgePart } from "./bridge-part.ts";
import { consensusFeatures, createConsensusPart } from "./consensus-part.ts";
import { attachDescribe } from "./describe-task.ts";
import { isFinding, readingsOf } from "./findings.ts";
import { healthOf } from "./health-checks.ts";
import { createLearningPart, learningFeatures } from "./learning-part.ts";
import { Lifecycle } from "./lifecycle.ts";
import { MeshBroadcast } from "./mesh-broadcast.ts";
import { createMeshPart, type MeshPart, type MeshSurroundings } from "./mesh-part.ts";
import { lonelyMesh } from "./mesh-view.ts";
import { RelayPart } from "./relay-part.ts";
import { createRoadOut } from "./road-out.ts";
import { createRolesPart, rolesFeatures } from "./roles-part.ts";
import { describeSelf, type SelfParts } from "./self-description.ts";
import { createTasksPart, tasksFeatures } from "./tasks-part.ts";
import { createTrailsPart } from "./trails-part.ts";
import { watchdog } from "./watchdog.ts";

/** A running agent. */
export interface Agent {
  readonly info: RunInfo;
  /** What REST shows, for tests and simulations too. */
  readonly context: AgentContext;
  /** What a program of the same process brings to learning; absent while that is off. */
  readonly programs?: LearningPrograms;
  /** Stops everything in order; what is queued stays on disk. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Puts an agent together and starts it: the road of a reading from the broker through the outbox to the
 * uplink, the body beside it, and the front door last, when there is something to show.
 * @throws Error in words that name the setting to change; everything started by then is stopped again
 */
export async function startAgent(
  config: Config,
  agentId: string,
  platform: AgentPlatform,
): Promise<Agent> {
  const { clock, logger, hasher, metrics, service, version } = platform;
  const startedAtMs = clock.wallMs();
  const lifecycle = new Lifecycle(clock, logger);
  const events = new EventLog({
    clock,
    logger: logger.child("telemetry"),
    keptMax: platform.eventsKeptMax,
  });
  const { store, tokens, device, outbox } = await openRooms(
    config,
    agentId,
    platform,
    lifecycle,
    events,
  );

  const intake = await lifecycle.guard(() => {
    const topics = new TopicMap(config.mqtt.topics, config.outbox.expireAfterMs);
    return new Intake({ outbox, topics, events, updateBytesMax: config.outbox.updateBytesMax });
  });
  const broker = await lifecycle.guard(() => platform.createBroker(config.mqtt, agentId, store));
  const about = { agentId, version, startedAtMs };
  const ground = await lifecycle.guard(() => openGround(config, platform));
  const relay =
    ground &&
    new RelayPart({
      self: ground.signer.peerId,
      agentId,
      options: config.relay,
      uplinks: config.uplinks,
      outbox,
      store,
      clock,
      random: platform.random.fork("relay"),
      logger: logger.child("relay"),
      events,
    });
  const { dispatcher, uplinks } = await lifecycle.guard(() =>
    createRoadOut(config.uplinks, about, platform, {
      outbox,
      store,
      device,
      broker,
      events,
      relay,
    }),
  );
  if (config.mqtt.deviceReadings) {
    const deviceReadings = new DeviceReadings(config.mqtt.deviceReadingsIntervalMs);
    device.onSnapshot((snapshot) => {
      const reading = deviceReadings.take(snapshot);
      if (reading === undefined) return;
      intake.append(reading, (refusal) => {
        if (refusal !== undefined) logger.warn("device reading not kept", { ...refusal });
      });
    });
  }
  const health = () => healthOf({ queue: outbox, broker: broker.status(), device });
  const self: SelfParts = {
    ...about,
    device,
    queue: outbox,
    uplinks: dispatcher,
    features: [
      ...(isBridgeOn(config.bridge) ? [BRIDGE_FEATURE] : []),
      ...(relay?.features ?? []),
      ...rolesFeatures(config),
      ...consensusFeatures(config),
      ...tasksFeatures(config),
      ...learningFeatures(config),
    ],
    relayOffer: () => relay?.offer(),
    health,
  };
  const mesh = await lifecycle.guard(() =>
    openMesh(config, platform, ground && { store, device, events, self, ground }),
  );
  const roles = await lifecycle.guard(() =>
    mesh !== undefined && config.coordination.roles.enabled
      ? createRolesPart(config, platform, { mesh, device, events })
      : undefined,
  );
  const consensus = await lifecycle.guard(() =>
    mesh !== undefined && roles !== undefined && config.consensus.enabled
      ? createConsensusPart(config, platform, { mesh, roles: roles.view, events, store })
      : undefined,
  );
  const tasks = await lifecycle.guard(async () =>
    mesh !== undefined && config.coordination.tasks.enabled
      ? createTasksPart(config, platform, { agentId, mesh, device, events, store, broker })
      : undefined,
  );
  const learning = await lifecycle.guard(async () =>
    mesh !== undefined && roles !== undefined && consensus !== undefined && config.learning.enabled
      ? createLearningPart(config, platform, {
          mesh,
          roles: roles.view,
          consensus,
          device,
          events,
          store,
          agentId,
          readings: readingsOf(intake, outbox),
          broker,
        })
      : undefined,
  );
  const trails = await lifecycle.guard(async () =>
    mesh !== undefined && config.coordination.swarm.enabled
      ? createTrailsPart(config, platform, { mesh, store })
      : undefined,
  );
  if (mesh !== undefined)
    relay?.attach({
      node: mesh.node,
      uplinks: dispatcher,
      device,
      describe: () => mesh.describe(),
    });
  const bridge = await lifecycle.guard(() =>
    openBridge(config, platform, { mesh, tokens, events }),
  );
  const context: AgentContext = {
    ...about,
    clock,
    logger: logger.child("api"),
    hasher,
    store,
    tokens,
    events,
    metrics,
    device,
    readings: intake,
    queue: outbox,
    uplinks: dispatcher,
    mesh: mesh?.view ?? lonelyMesh(() => describeSelf(self)),
    ...(mesh !== undefined && { meshAccess: mesh.access }),
    bridge: bridge ?? noBridge,
    roles: roles?.view ?? noRoles,
    consensus: consensus?.view ?? noConsensus,
    tasks: tasks?.view ?? noTasks,
    trails: trails?.view ?? noTrails,
    learning: learning?.view ?? noLearning,
    relay: relay ?? noRelay(config.relay),
    brokerStatus: () => broker.status(),
    health,
  };
  registerAgentMetrics(metrics, context);
  if (mesh !== undefined)
    registerMeshMetrics(metrics, mesh.view, {
      offences: () => mesh.access.ledger.counts(),
      bans: () => mesh.access.ledger.bans().length,
      untaken: () => mesh.node.untaken(),
      surveys: () => ({ ...mesh.node.surveys()?.counters() }),
    });

  await lifecycle.start(
    {
      name: "tokens",
      start: async () => {
        await tokens.ensureFirstToken((token) => platform.keepFirstToken(token));
      },
    },
    { name: "relay", start: () => relay?.open(), stop: () => relay?.close() },
  );
  await lifecycle.start(
    {
      name: "uplinks",
      start: () => dispatcher.start(uplinks),
      stop: () => dispatcher.stop(),
    },
    { name: "device", start: () => device.start(), stop: () => device.stop() },
  );
  dispatcher.configure(device.power().settings);
  if (mesh !== undefined) {
    const broadcast = new MeshBroadcast({
      agentId,
      node: mesh.node,
      clock,
      random: platform.random.fork("mesh-broadcast"),
      logger: logger.child("mesh"),
      onEvent: (listener) => events.subscribe(listener),
    });
    await lifecycle.start({ name: "mesh", start: () => mesh.start(), stop: () => mesh.stop() });
    // Guests hear that it ends while there are still links to them.
    await lifecycle.start({
      name: "relay offer",
      start: () => relay?.start(),
      stop: () => relay?.stop(),
    });
    await lifecycle.start({
      name: "mesh broadcast",
      start: () => broadcast.start(),
      stop: () => broadcast.stop(),
    });
  }
  if (roles !== undefined)
    await lifecycle.start({
      name: "roles",
      start: () => roles.start(),
      stop: () => roles.stop(),
    });
  if (consensus !== undefined)
    await lifecycle.start({
      name: "consensus",
      start: () => consensus.start(),
      stop: () => consensus.stop(),
    });
  if (learning !== undefined)
    await lifecycle.start({
      name: "learning",
      start: () => learning.start(),
      stop: () => learning.stop(),
    });
  if (tasks !== undefined)
    await lifecycle.start({
      name: "tasks",
      start: () => tasks.start(),
      stop: () => tasks.stop(),
    });
  if (trails !== undefined)
    await lifecycle.start({
      name: "trails",
      start: () => trails.start(),
      stop: () => trails.stop(),
    });
  if (bridge !== undefined)
    await lifecycle.start({
      name: "bridge",
      start: () => bridge.start(),
      stop: () => bridge.stop(),
    });
  let door: FrontDoor | undefined;
  // Stopping goes the other way: nothing new comes in before what came in is settled.
  await lifecycle.start({
    name: "api",
    start: async () => {
      door = await platform.openFrontDoor?.(context, config.api);
    },
    stop: () => door?.close(),
  });
  await lifecycle.start({
    name: "broker",
    start: () =>
      broker.start((message, settle) => {
        // What programs say of tasks is no reading, and neither is what agents found in readings.
        const { topic, payload } = message;
        if (isFinding(topic) || tasks?.takes(topic, payload) === true) settle();
        else intake.take(message, settle);
      }),
    stop: () => broker.stop(),
  });
  const { url, tlsUrl } = broker.status();
  const info: RunInfo = {
    ...(door === undefined ? {} : { api: { url: door.url } }),
    mqtt: { url, ...(tlsUrl === undefined ? {} : { tlsUrl }) },
    ...(mesh !== undefined && {
      mesh: { peerId: mesh.node.id, addresses: mesh.node.addresses() },
    }),
    ...(bridge?.url !== undefined && { grpc: { url: bridge.url } }),
  };
  await lifecycle.start(watchdog({ service, store, clock, queue: outbox, uplinks: dispatcher }), {
    name: "announcement",
    start: async () => {
      await platform.announce(info);
      service.ready();
      events.emit("agent.started", { version });
      logger.info("agent started", { agentId, version, ...info });
    },
    stop: () => {
      events.emit("agent.stopping", {});
      service.stopping();
    },
  });
  return {
    info,
    context,
    ...(learning !== undefined && { programs: learning.programs }),
    stop: () => lifecycle.stop(),
  };
}

/** @returns nothing where the mesh is off @throws Error in words that name the setting to change */
async function openGround(
  config: Config,
  platform: AgentPlatform,
): Promise<MeshGround | undefined> {
  return config.mesh.enabled === true ? platform.openMesh?.(config.mesh) : undefined;
}

/** @returns nothing where the mesh is off @throws Error in words that name the setting to change */
async function openMesh(
  config: Config,
  platform: AgentPlatform,
  parts: MeshSurroundings | undefined,
): Promise<MeshPart | undefined> {
  if (parts === undefined) return undefined;
  const mesh = await createMeshPart(config, platform, parts);
  attachDescribe(mesh.node, mesh.view);
  return mesh;
}

/** @returns nothing where no bridge is wanted @throws Error in words that name the setting to change */
async function openBridge(
  config: Config,
  platform: AgentPlatform,
  parts: { mesh: MeshPart | undefined; tokens: TokenStore; events: EventLog },
): Promise<BridgePart | undefined> {
  const { mesh, ...rest } = parts;
  if (mesh === undefined || !isBridgeOn(config.bridge)) return undefined;
  const { node, signer } = mesh;
  const ground = await platform.openBridge?.(config.bridge, signer);
  if (ground === undefined) return undefined;
  const { clock } = platform;
  const random = platform.random.fork("bridge");
  const logger = platform.logger.child("bridge");
  return new BridgePart(config.bridge, { ...rest, ground, node, signer, clock, random, logger });
}

/** Opens what lies on disk and finds out what body this is; the two are waited for together. */
async function openRooms(
  config: Config,
  agentId: string,
  platform: AgentPlatform,
  lifecycle: Lifecycle,
  events: EventLog,
) {
  const { clock, random, hasher, logger, probe } = platform;
  const body = Promise.all([probe.identify(), platform.firmwareProfiles()]);
  // Its failure is told when its turn comes, which is after the store's.
  body.catch(() => undefined);
  const store = await platform.openStore((repair) => events.emit("store.repaired", { ...repair }));
  await lifecycle.start({ name: "store", stop: () => store.close() });
  return lifecycle.guard(async () => {
    const [tokens, outbox, [identity, profiles]] = await Promise.all([
      TokenStore.open({ store, clock, random, hasher, events, logger: logger.child("access") }),
      Outbox.open({
        store,
        clock,
        events,
        logger: logger.child("outbox"),
        agentId,
        options: config.outbox,
      }),
      body,
    ]);
    await lifecycle.start({ name: "outbox", stop: () => outbox.close() });
    const { profile, because } = chooseFirmwareProfile(profiles, identity, config.device.profile);
    const device = new ResourceMonitor({
      probe,
      clock,
      events,
      logger,
      identity,
      profile,
      chosenBecause: because,
      options: { device: config.device, power: config.power, budget: config.budget },
    });
    outbox.setFlashBudget(profile.flash.bytesPerDayMax ?? 0);
    return { store, tokens, device, outbox };
  });
}
