import { Default } from "typebox/value";
import { MeshAccess } from "../../src/access/mesh-access.ts";
import { type MeshAccessOptions, meshAccessOptions } from "../../src/access/mesh-access-options.ts";
import { TokenStore } from "../../src/access/tokens.ts";
import type { ApiContext } from "../../src/api/context.ts";
import { type ApiOptions, apiOptions } from "../../src/api/options.ts";
import type { ResourceSnapshot } from "../../src/device/view.ts";
import type { FleetSurvey } from "../../src/mesh/view.ts";
import type { Update } from "../../src/outbox/update.ts";
import type { DeadLetter } from "../../src/outbox/view.ts";
import type { AssetDirectory } from "../../src/platform/asset-directory.ts";
import type { BrokerStatus } from "../../src/platform/broker.ts";
import type { Logger } from "../../src/platform/logger.ts";
import { nodeHasher } from "../../src/platform/node/hasher.ts";
import { SystemRandom } from "../../src/platform/node/system-random.ts";
import { PrometheusRegistry } from "../../src/platform/prometheus/registry.ts";
import { silentLogger } from "../../src/platform/silent-logger.ts";
import type { StreamReading } from "../../src/readings/view.ts";
import { MemoryKeyValueStore } from "../../src/simulator/memory-key-value-store.ts";
import { VirtualClock } from "../../src/simulator/virtual-clock.ts";
import { VirtualKeys } from "../../src/simulator/virtual-signer.ts";
import { registerAgentMetrics } from "../../src/telemetry/agent-metrics.ts";
import { EventLog } from "../../src/telemetry/event-log.ts";
import { StillLearning } from "./learning-tasks.ts";
import { StillTasks } from "./task-orders.ts";
import { aloneTrails } from "./trails.ts";

/** Defaults of the schema, on any free port. */
export const testOptions: ApiOptions = {
  ...(Object.fromEntries(
    Object.entries(apiOptions.properties).map(([name, schema]) => [
      name,
      (schema as { default?: unknown }).default,
    ]),
  ) as ApiOptions),
  port: 0,
};

/** Files held in memory. */
export function memoryAssets(files: Readonly<Record<string, string>>): AssetDirectory {
  return {
    read: (path) => {
      const text = Object.hasOwn(files, path) ? files[path] : undefined;
      return Promise.resolve(
        text === undefined
          ? undefined
          : { body: Buffer.from(text), etag: `"${nodeHasher.sha256Hex(text).slice(0, 8)}"` },
      );
    },
  };
}

const absent = { available: false, reason: "no such thing on this device" } as const;

export const snapshot: ResourceSnapshot = {
  sequence: 7,
  wallMs: 1_795_305_600_000,
  monotonicMs: 5_000,
  powerMode: "normal",
  sample: {
    cpu: {
      available: true,
      cores: 4,
      usedPercent: 12.5,
      perCorePercent: [10, 20, 10, 10],
      load1: 0.5,
      load5: 0.4,
      load15: 0.3,
    },
    memory: {
      available: true,
      totalBytes: 4e9,
      availableBytes: 3e9,
      swapTotalBytes: 0,
      swapFreeBytes: 0,
    },
    pressure: absent,
    thermal: { available: true, celsius: 48.2, zones: [{ name: "cpu-thermal", celsius: 48.2 }] },
    throttling: { available: true, sources: ["rpi-volt"], underVoltageNow: false },
    battery: absent,
    powerRails: absent,
    disk: {
      available: true,
      path: "/data",
      totalBytes: 32e9,
      freeBytes: 20e9,
      inodesFree: 1e6,
      readOnly: false,
    },
    flashWear: absent,
    network: {
      available: true,
      interfaces: [
        { name: "eth0", up: true, wireless: false, receivedBytes: 1_000, sentBytes: 2_000 },
      ],
    },
    gpu: absent,
    process: { available: true, residentBytes: 80e6, cpuMs: 1_200 },
    uptimeMs: { available: true, value: 3_600_000 },
  },
};

/** What a test may turn to see how the interface takes it. */
export interface World {
  snapshot: ResourceSnapshot | undefined;
  readings: StreamReading[];
  updates: Update[];
  deadLetters: DeadLetter[];
  paused: boolean;
  flushes: number;
  pauses: number;
  ready: boolean;
  failNext: Error | undefined;
  config: Record<string, unknown>;
  readonly tasks: StillTasks;
  readonly learning: StillLearning;
}

export function update(sequence: number, payload: Uint8Array = Buffer.from("21.5")): Update {
  return {
    id: `agent-1/sensors/room/temp/${sequence}`,
    agentId: "agent-1",
    stream: "sensors/room/temp",
    sequence,
    ordinal: sequence,
    priority: 5,
    payload,
    contentType: "text/plain",
    bootId: "boot-1",
    observedAtMs: 1_795_305_600_000 + sequence,
    observedAtTrusted: true,
    monotonicMs: sequence,
  };
}

export function deadLetter(id: string): DeadLetter {
  return {
    id,
    code: "payload.too-large",
    reason: "the payload has 300,000 bytes",
    topic: "sensors/room/temp",
    payload: Buffer.from([0xff, 0xfe, 0x00]),
    contentType: "application/octet-stream",
    priority: 3,
    deadAtMs: 1_795_305_600_000,
  };
}

/** A whole context of simple values in memory. @param store one from an earlier context, after a restart */
export async function createTestContext(store = new MemoryKeyValueStore()) {
  const clock = new VirtualClock();
  const world: World = {
    snapshot,
    readings: [],
    updates: [],
    deadLetters: [],
    paused: false,
    flushes: 0,
    pauses: 0,
    ready: true,
    failNext: undefined,
    config: { agent: { id: "agent-1" } },
    tasks: new StillTasks(),
    learning: new StillLearning(),
  };
  const logged: string[] = [];
  const logger: Logger = { ...silentLogger, error: (message) => void logged.push(message) };
  const events = new EventLog({ clock, logger });
  const tokens = await TokenStore.open({
    store,
    clock,
    random: new SystemRandom(),
    hasher: nodeHasher,
    events,
    logger,
  });
  const meshAccess = await MeshAccess.open({
    store,
    // Of its own: what the interface leaves waiting is looked at.
    clock: new VirtualClock(),
    random: new SystemRandom(),
    hasher: nodeHasher,
    signer: new VirtualKeys().signer("agent-1"),
    logger,
    events,
    options: Default(meshAccessOptions, {}) as MeshAccessOptions,
    connectionsMax: 8,
  });
  const views = viewsOf(world);
  const base = { agentId: "agent-1", version: "0.1.0", startedAtMs: clock.wallMs(), clock };
  const metrics = new PrometheusRegistry();
  const brokerStatus = (): BrokerStatus => ({
    kind: "embedded",
    connected: true,
    url: "mqtt://127.0.0.1:1883",
    clients: 2,
    refusedConnections: 1,
    denied: 3,
    remembered: {
      sessions: 4,
      subscriptions: 5,
      queuedMessages: 6,
      queuedBytes: 700,
      retained: 8,
      retainedBytes: 900,
      dropped: 0,
      expired: 0,
      damaged: 0,
    },
    undelivered: 0,
  });
  registerAgentMetrics(metrics, { ...base, ...views, store, brokerStatus });
  const context: ApiContext = {
    ...base,
    ...views,
    logger,
    hasher: nodeHasher,
    store,
    tokens,
    events,
    metrics,
    meshAccess,
    brokerStatus,
    health: () => [
      { name: "store", ok: true },
      world.ready
        ? { name: "broker", ok: true }
        : { name: "broker", ok: false, detail: "port 1883 is taken; set mqtt.broker.port" },
    ],
    effectiveConfig: () => world.config,
    configSchema: { type: "object" },
    assets: {
      page: memoryAssets({
        "index.html": "<!doctype html><title>page</title>",
        "assets/page.js": "1",
      }),
      openapi: memoryAssets({ "openapi.json": '{"openapi":"3.1.0"}' }),
      docs: memoryAssets({ "swagger-ui.css": "body{}", "package.json": "{}" }),
    },
  };
  return { context, world, clock, store, logged, meshAccess };
}

const counts = { alive: 2, suspect: 0, dead: 1, left: 0 };

const counters = {
  sentBytes: 1,
  receivedBytes: 2,
  requestsSent: 3,
  requestsServed: 4,
  messagesPublished: 5,
  messagesDelivered: 6,
  dials: 7,
  dialsFailed: 8,
  refusals: { "rate.limited": 9 },
};

/** A mesh of three agents, one of them dead. A survey is done when it is asked for again. */
function meshOf(take: () => void): ApiContext["mesh"] {
  const progress = { found: 3, coverage: 0.75, asked: 4, answered: 3, requests: 5, bytes: 6_000 };
  const surveys: FleetSurvey[] = [
    { ...progress, number: 1, state: "done", tookMs: 2_500, ended: "covered", endedMsAgo: 1_000 },
    { ...progress, number: 1, state: "running", tookMs: 2_000 },
  ];
  let survey: FleetSurvey | undefined;
  const agent = {
    forMs: 1_000,
    heardOfMsAgo: 200,
    ageMs: 200,
    confidence: 0.9,
    version: "0.1.0",
    addresses: [],
  };
  return {
    status: () => ({
      enabled: true,
      peerId: "12D3KooWself",
      addresses: [
        "/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWself",
        "/ip4/127.0.0.1/tcp/4002/ws/p2p/12D3KooWself",
      ],
      transports: ["tcp", "ws"],
      privateNetwork: false,
      members: { ...counts, estimated: { agents: 5_000, relativeError: 0.063 } },
      links: 1,
      partitionScore: 0.5,
      bootstrap: [{ address: "/ip4/192.0.2.1/tcp/4001", attempts: 3, fault: "no route" }],
      topics: ["news"],
      counters,
    }),
    peers: () => [
      {
        peerId: "12D3KooWpeer",
        agentId: "agent-2",
        direction: "inbound",
        transport: "tcp",
        address: "/ip4/127.0.0.1/tcp/5000",
        linkedForMs: 5_000,
        state: "alive",
      },
    ],
    agents: () => [
      {
        ...agent,
        agentId: "agent-1",
        peerId: "12D3KooWself",
        self: true,
        state: "alive",
        linked: false,
      },
      {
        ...agent,
        agentId: "agent-2",
        peerId: "12D3KooWpeer",
        self: false,
        state: "alive",
        linked: true,
      },
      {
        ...agent,
        agentId: "agent-3",
        peerId: "12D3KooWgone",
        self: false,
        state: "dead",
        linked: false,
      },
    ],
    counters: () => counters,
    counts: () => counts,
    size: () => ({ agents: 5_000, relativeError: 0.063 }),
    survey: () => {
      survey = surveys.pop() ?? survey;
      return Promise.resolve(survey);
    },
    currentSurvey: () => survey,
    surveyedAgents: () => [
      {
        ...agent,
        agentId: "agent-9",
        peerId: "12D3KooWfar",
        self: false,
        state: "suspect",
        linked: false,
      },
    ],
    join: () => {
      take();
      return Promise.resolve(["12D3KooWpeer"]);
    },
    disconnect: (peer) => Promise.resolve(peer === "12D3KooWpeer"),
  };
}

const rolesStatus: ReturnType<ApiContext["roles"]["status"]> = {
  enabled: true,
  self: {
    peerId: "12D3KooWself",
    agentId: "agent-1",
    self: true,
    standing: "quorum",
    score: 340,
    coordination: "validator",
    learning: ["validator", "trainer"],
  },
  assignment: {
    term: 7,
    quorum: true,
    coordinator: { peerId: "12D3KooWpeer", agentId: "agent-2", self: false },
    validators: [
      { peerId: "12D3KooWself", agentId: "agent-1", self: true },
      { peerId: "12D3KooWfar", self: false },
    ],
    aggregators: [{ peerId: "12D3KooWpeer", agentId: "agent-2", self: false }],
    reason: "better",
    ledForMs: 125_000,
    renewedMsAgo: 4_000,
  },
  candidates: [
    {
      peerId: "12D3KooWpeer",
      agentId: "agent-2",
      self: false,
      standing: "quorum",
      score: 480,
      coordination: "coordinator",
      learning: ["aggregator", "validator", "trainer"],
    },
    {
      peerId: "12D3KooWself",
      agentId: "agent-1",
      self: true,
      standing: "quorum",
      score: 340,
      coordination: "validator",
      learning: ["validator", "trainer"],
    },
  ],
  counters: { adopted: 3, made: 1, changes: 2 },
};

const bridgeStatus: ReturnType<ApiContext["bridge"]["status"]> = {
  enabled: true,
  bridgeId: "12D3KooWself",
  listen: {
    url: "grpcs://127.0.0.1:5001",
    connectionsNow: 2,
    connectionsRefused: 1,
    callsNow: 3,
    statuses: { OK: 4, UNAUTHENTICATED: 1 },
    refusals: { "bridge.unauthenticated": 1 },
    receivedBytes: 500,
    sentBytes: 600,
  },
  gateways: [
    {
      name: "cloud",
      url: "grpcs://gateway.example:5001",
      state: "waiting",
      attempts: 2,
      attached: 1,
      reason: "no route",
      retryInMs: 1_500,
      sentBytes: 10,
      receivedBytes: 20,
    },
  ],
  links: [{ role: "gateway", bridgeId: "12D3KooWpeer", peerId: "12D3KooWpeer" }],
  counters: {
    linksNow: 1,
    subscribersNow: 2,
    agentsNow: 3,
    messagesUp: 4,
    messagesDown: 5,
    messagesLinked: 6,
    requestsServed: 7,
    repeats: { seen: 8 },
    refusals: { "bridge.not-found": 9 },
  },
};

/** One guest, and a neighbour that relays. */
const relayStatus: ReturnType<ApiContext["relay"]["status"]> = {
  enabled: true,
  offering: false,
  reason: "the neighbour is in power mode critical",
  route: [],
  bytes: 4_096,
  bytesMax: 65_536,
  guestsMax: 16,
  guests: [
    {
      peerId: "12D3KooWpeer",
      agentId: "guest",
      connected: true,
      seenMsAgo: 1_000,
      updates: 3,
      bytes: 4_096,
      streams: 1,
      taken: 10,
      takenBytes: 500,
      repeated: 1,
      delivered: 6,
      dead: 1,
      refused: { "relay.quota": 2 },
    },
  ],
  forgotten: 0,
  hosts: [
    {
      uplink: "neighbour",
      peerId: "12D3KooWhost",
      agentId: "host",
      hops: 2,
      route: ["12D3KooWhost", "12D3KooWgateway"],
      updates: 5,
      stored: 4,
    },
  ],
};

const self = { peerId: "12D3KooWself", agentId: "agent-1", self: true };
const openProposal: ReturnType<ApiContext["consensus"]["proposals"]>[number] = {
  proposalId: "0123456789abcdef0123456789abcdef",
  topic: "maintenance",
  value: Buffer.from('{"window":"02:00"}'),
  proposer: self,
  expiresInMs: 60_000,
  votes: [{ member: self, choice: "accept", reason: "" }],
};
const { expiresInMs: _, votes: __, ...ofProposal } = openProposal;
const decided: ReturnType<ApiContext["consensus"]["decisions"]>[number] = {
  ...ofProposal,
  proposalId: "f".repeat(32),
  number: 1,
  outcome: "accepted",
  reasons: [],
  certificate: Uint8Array.of(1, 2, 3),
};

function consensusOf(take: () => void): ApiContext["consensus"] {
  const done = (): Promise<void> => {
    take();
    return Promise.resolve();
  };
  return {
    status: () => ({
      enabled: true,
      standing: "seated",
      committee: {
        group: "00112233445566778899aabbccddeeff",
        protocol: "raft",
        epoch: 2,
        quorum: 2,
        members: [
          { ...self, leads: true, fitness: "fit" },
          { peerId: "12D3KooWpeer", agentId: "agent-2", self: false, leads: false, fitness: "fit" },
          { peerId: "12D3KooWfar", self: false, leads: false, fitness: "gone" },
        ],
      },
      seat: { standing: "leading", leader: self, term: 3, position: 17, learners: [] },
      counters: { proposals: 2, decisions: 1, leaders: 1 },
    }),
    async propose() {
      await done();
      return { proposalId: openProposal.proposalId };
    },
    vote: done,
    cancel: done,
    found: done,
    proposals: () => [openProposal],
    proposal: (id) => (id === openProposal.proposalId ? openProposal : undefined),
    decisions: (after) => [decided].filter(({ number }) => number > after),
    decision: (id) => Promise.resolve(id === decided.proposalId ? decided : undefined),
    verify: (certificate) =>
      certificate.length === 3
        ? { valid: true, group: "00", number: 1, proposalId: "ff", topic: "a", value: certificate }
        : { valid: false, fault: "malformed" },
  };
}

function viewsOf(
  world: World,
): Pick<
  ApiContext,
  | "device"
  | "readings"
  | "queue"
  | "uplinks"
  | "mesh"
  | "bridge"
  | "roles"
  | "tasks"
  | "trails"
  | "learning"
  | "relay"
  | "consensus"
> {
  const take = () => {
    const { failNext } = world;
    world.failNext = undefined;
    if (failNext !== undefined) throw failNext;
  };
  const page = <Item>(all: readonly Item[], cursor: string | undefined, limit: number) => {
    take();
    const begin = Number(cursor ?? 0);
    const end = begin + limit;
    return {
      items: all.slice(begin, end),
      ...(end < all.length ? { cursor: String(end) } : {}),
    };
  };
  const remove = (id: string) => {
    take();
    const before = world.deadLetters.length;
    world.deadLetters = world.deadLetters.filter((letter) => letter.id !== id);
    return Promise.resolve(world.deadLetters.length < before);
  };
  return {
    device: {
      identity: () => ({
        model: "Raspberry Pi 4 Model B Rev 1.4",
        compatible: ["raspberrypi,4-model-b", "brcm,bcm2711"],
        hostname: "pi",
        kernel: "6.12.0",
        architecture: "arm64",
        operatingSystem: "Debian GNU/Linux 13",
      }),
      profile: () => ({ id: "pi-4", name: "Raspberry Pi 4", chosenBecause: "device tree" }),
      latest: () => world.snapshot,
      history: ({ sinceMs, limit }) =>
        Array.from({ length: 10 }, (_, index) => ({
          wallMs: 1_000 + index * 1_000,
          cpuPercent: index,
          memoryPercent: 25,
          celsius: 48.2,
          batteryPercent: null,
          diskPercent: 37.5,
          residentBytes: 80e6,
        }))
          .filter(({ wallMs }) => wallMs >= sinceMs)
          .slice(0, limit),
      power: () => ({
        mode: "normal",
        reason: "on mains",
        sinceMs: 1_795_305_600_000,
        settings: {
          samplingIntervalMs: 5_000,
          uplinkBatchIntervalMs: 0,
          uplinkBatchUpdatesMax: 1,
          uplinkUrgentPriorityMin: 8,
          uplinkDisconnectBetweenBatches: false,
        },
        transitions: 1,
      }),
      powerPolicy: () => ({ thresholds: {} }),
    },
    mesh: meshOf(take),
    bridge: { status: () => bridgeStatus },
    consensus: consensusOf(take),
    roles: { summary: () => rolesStatus, status: () => rolesStatus },
    tasks: world.tasks,
    trails: aloneTrails(),
    learning: world.learning,
    relay: { status: () => relayStatus },
    readings: {
      latest: ({ limit, offset, prefix = "" }) => {
        const matching = world.readings.filter(({ stream }) => stream.startsWith(prefix));
        return { readings: matching.slice(offset, offset + limit), total: matching.length };
      },
      mappings: () => [
        {
          filter: "sensors/#",
          priority: 5,
          expireAfterMs: 0,
          format: "any",
          keep: "all",
          received: 3,
        },
      ],
      totals: () => ({ received: 3, refused: 1, deadLettered: 1, bytes: 12 }),
    },
    queue: {
      status: () => ({
        updates: world.updates.length,
        bytes: world.updates.length * 200,
        bytesMax: 1e9,
        evict: "drop-oldest",
        paused: world.paused,
        streams: 1,
        updatesByPriority: [{ priority: 5, updates: world.updates.length }],
        appended: 3,
        acknowledged: 2,
        shed: 0,
        expired: 0,
        superseded: 0,
        written: { bytes: 9_000, syncs: 3, bytesPerDayMax: 0, budgetUsed: 0, lingerMs: 0 },
        lost: 0,
        refused: 0,
        deadLetters: world.deadLetters.length,
        deadLetterBytes: 0,
        storeRecoveries: 0,
        commits: 3,
        lastCommitMs: 2,
      }),
      async list({ cursor, limit, stream }) {
        const all = world.updates.filter((one) => stream === undefined || one.stream === stream);
        const { items, ...rest } = page(all, cursor, limit);
        return { updates: items, ...rest };
      },
      async listDeadLetters({ cursor, limit }) {
        const { items, ...rest } = page(world.deadLetters, cursor, limit);
        return { deadLetters: items, ...rest };
      },
      requeueDeadLetter: async (id) => remove(id),
      deleteDeadLetter: async (id) => remove(id),
    },
    uplinks: {
      status: () => [
        {
          name: "cloud",
          kind: "mqtt",
          url: "mqtts://broker.example:8883",
          state: "up",
          active: true,
          attempts: 1,
          inFlight: 0,
          inFlightMax: 100,
          acknowledged: 2,
          refused: 0,
          skipped: 0,
          sentBytes: 400,
          wireBytes: 900,
          takeovers: 0,
          takesGuests: true,
          acknowledgedPerSecond: 0.2,
          lastRoundTripMs: 12,
        },
      ],
      flush: () => {
        world.flushes += 1;
      },
      async pause() {
        take();
        world.pauses += 1;
        world.paused = true;
      },
      async resume() {
        world.paused = false;
      },
      get paused() {
        return world.paused;
      },
    },
  };
}
