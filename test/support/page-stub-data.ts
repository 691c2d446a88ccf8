import type {
  Consensus,
  Device,
  FleetAgent,
  Health,
  LearningTask,
  Mesh,
  MeshPeer,
  Power,
  Queue,
  Reading,
  ResourcePoint,
  ResourceSnapshot,
  Roles,
  Sample,
  Uplink,
} from "../../src/api/page/model.ts";

import { learningAnswers } from "./page-stub-learning.ts";

const SAMPLE_INTERVAL_MS = 5000;
const HOUR_MS = 3_600_000;
const MIB = 2 ** 20;

/** What the stub pretends to be; every figure follows from this and the tick. */
export interface StubState {
  tick: number;
  agentId: string;
  startedAtMs: number;
  /** A device with everything, or one that lacks battery, throttling, power rails and GPU. */
  body: "full" | "bare";
  mode: Power["mode"];
  updates: number;
  paused: boolean;
  deadLetters: number;
  uplink: "up" | "waiting" | "none";
  streams: readonly string[];
  failing?: string;
  scope: "viewer" | "operator" | "admin";
  /** Off, a handful of agents of which one is dead and one is suspect, a fleet of 140, or an agent cut off from others. */
  mesh: "off" | "few" | "many" | "cut";
  /** How long the history reaches back. */
  historyMs: number;
  /** Nothing is learned, a task on sensors and one of another agent's, or the same with an anomaly. */
  learning: "off" | "none" | "calm" | "anomaly";
  learningState: LearningTask["state"];
}

/** A healthy Raspberry Pi with a handful of sensors; change what a test is about. */
export function stubState(changes: Partial<StubState> = {}): StubState {
  return {
    tick: 0,
    agentId: "greenhouse-07",
    startedAtMs: Date.now() - 3 * 86_400_000 - 4 * HOUR_MS,
    body: "full",
    mode: "normal",
    updates: 12,
    paused: false,
    deadLetters: 0,
    uplink: "up",
    streams: [
      "sensors/bed-1/soil-moisture",
      "sensors/bed-1/temp",
      "sensors/bed-2/soil-moisture",
      "sensors/bed-2/temp",
      "sensors/roof/light",
      "sensors/roof/wind",
      "sensors/tank/level",
      "sensors/pump/state",
    ],
    scope: "admin",
    mesh: "few",
    historyMs: HOUR_MS,
    learning: "calm",
    learningState: "running",
    ...changes,
  };
}

/** Smooth, repeatable movement between 0 and 1. */
function wave(phase: number, periodTicks: number): number {
  const slow = Math.sin((phase / periodTicks) * 2 * Math.PI);
  const fast = Math.sin((phase / periodTicks) * 2 * Math.PI * 7.3 + 1);
  return 0.5 + 0.38 * slow + 0.12 * fast;
}

function pointAt(state: StubState, wallMs: number): ResourcePoint {
  const phase = wallMs / 1000;
  const spike = wave(phase, 137) > 0.93 ? 38 : 0;
  return {
    wallMs,
    cpuPercent: 6 + 14 * wave(phase, 420) + spike,
    memoryPercent: 41 + 3 * wave(phase, 900),
    celsius: 48 + 6 * wave(phase, 1500) + spike / 12,
    batteryPercent: state.body === "bare" ? null : 78 - ((phase / 240) % 6),
    diskPercent: 23.4,
    residentBytes: (96 + 5 * wave(phase, 700)) * MIB,
  };
}

/** The last hour, sampled every five seconds. */
export function historyOf(state: StubState): ResourcePoint[] {
  const now = Date.now();
  const count = Math.floor(state.historyMs / SAMPLE_INTERVAL_MS);
  return Array.from({ length: count }, (_, index) =>
    pointAt(state, now - (count - index) * SAMPLE_INTERVAL_MS),
  );
}

function lacking(reason: string) {
  return { available: false as const, reason };
}

function sampleOf(state: StubState, point: ResourcePoint): Sample {
  const bare = state.body === "bare";
  const total = 3.7 * 2 ** 30;
  return {
    cpu: {
      available: true,
      cores: 4,
      usedPercent: point.cpuPercent ?? 0,
      load1: 0.42,
      frequencyHz: 1.5e9,
    },
    memory: {
      available: true,
      totalBytes: total,
      availableBytes: total * (1 - (point.memoryPercent ?? 0) / 100),
      swapTotalBytes: 100 * MIB,
      swapFreeBytes: 92 * MIB,
    },
    pressure: {
      available: true,
      cpuSomeAvg10Percent: 1.8,
      memorySomeAvg10Percent: 0,
      ioSomeAvg10Percent: 0.6,
    },
    thermal: {
      available: true,
      celsius: point.celsius ?? 0,
      zones: [{ name: "cpu-thermal", celsius: point.celsius ?? 0 }],
    },
    throttling: bare
      ? lacking("no rpi_volt sensor and no cpufreq under /sys")
      : {
          available: true,
          underVoltageNow: false,
          throttledNow: false,
          frequencyCappedNow: false,
          underVoltageSinceBoot: true,
          throttledSinceBoot: false,
        },
    battery: bare
      ? lacking("no power supply of type Battery under /sys/class/power_supply")
      : {
          available: true,
          name: "max17040",
          chargePercent: point.batteryPercent ?? 0,
          state: "discharging",
          volts: 3.91,
          watts: 4.2,
        },
    powerRails: lacking("no INA3221 under /sys/class/hwmon"),
    disk: {
      available: true,
      path: "/var/lib/agent-mesh",
      totalBytes: 29 * 2 ** 30,
      freeBytes: 22.2 * 2 ** 30,
      readOnly: false,
    },
    flashWear: bare
      ? lacking("this medium tells no life time")
      : { available: true, lifeUsedPercent: 10, preEol: "normal" },
    network: {
      available: true,
      interfaces: [
        { name: "eth0", up: false, wireless: false },
        { name: "wlan0", up: true, wireless: true, signalDbm: -58 },
      ],
    },
    gpu: lacking("no devfreq GPU under /sys"),
    process: { available: true, residentBytes: point.residentBytes ?? 0 },
    uptimeMs: { available: true, value: 12 * 86_400_000 },
  };
}

function readingsOf(state: StubState): Reading[] {
  return state.streams.map((stream, index) => {
    const sequence = 4000 + state.tick;
    const value = (20 + index + 4 * wave(state.tick + index * 3, 17)).toFixed(1);
    return {
      stream,
      topic: stream,
      text: index === 7 ? '{"on":true,"mode":"auto"}' : value,
      bytes: 4,
      contentType: "text/plain",
      sequence,
      observedAtMs: Date.now() - index * index * 900,
      observedAtTrusted: true,
      count: sequence,
    };
  });
}

function queueOf(state: StubState): Queue {
  const { updates } = state;
  const ninth = Math.floor(updates / 50);
  const fifth = Math.floor(updates * 0.8);
  return {
    updates,
    bytes: updates * 312,
    bytesMax: 64 * MIB,
    evict: "drop-oldest",
    paused: state.paused,
    updatesByPriority: [
      { priority: 9, updates: ninth },
      { priority: 5, updates: fifth },
      { priority: 1, updates: updates - ninth - fifth },
    ],
    ...(updates > 0 && { oldestObservedAtMs: Date.now() - (updates > 1000 ? 3_720_000 : 2400) }),
    appended: 184_220 + state.tick * 8,
    acknowledged: 184_208 + state.tick * 8 - updates,
    shed: 0,
    expired: 0,
    superseded: 0,
    written: { bytes: 9_000, syncs: 3, bytesPerDayMax: 0, budgetUsed: 0 },
    lost: 0,
    refused: 0,
    deadLetters: state.deadLetters,
    deadLetterBytes: state.deadLetters * 410,
    storeRecoveries: 0,
    lastCommitMs: 2.4,
  };
}

function uplinksOf(state: StubState): Uplink[] {
  if (state.uplink === "none") return [];
  const up = state.uplink === "up";
  return [
    {
      name: "fleet",
      kind: "mqtt",
      url: "mqtts://broker.fleet.example:8883",
      state: state.uplink,
      active: up,
      ...(!up && { reason: "connect ECONNREFUSED 203.0.113.7:8883", retryInMs: 8400 }),
      attempts: up ? 1 : 41,
      inFlight: up ? 4 : 0,
      inFlightMax: 100,
      acknowledged: 184_208,
      refused: 0,
      sentBytes: 57 * MIB,
      acknowledgedPerSecond: up ? 7.8 : 0,
      lastRoundTripMs: 38,
    },
  ];
}

const MODE_SETTINGS = {
  normal: [5000, 0, 1],
  saving: [15_000, 10_000, 200],
  aggressive: [60_000, 60_000, 1000],
  critical: [300_000, 300_000, 5000],
} as const;

function powerOf(state: StubState): Power {
  const [samplingIntervalMs, uplinkBatchIntervalMs, uplinkBatchUpdatesMax] =
    MODE_SETTINGS[state.mode];
  return {
    mode: state.mode,
    reason:
      state.mode === "normal" ? "battery at 78 %, above 50 %" : "battery at 18.5 % and discharging",
    sinceMs: Date.now() - 5 * HOUR_MS,
    settings: {
      samplingIntervalMs,
      uplinkBatchIntervalMs,
      uplinkBatchUpdatesMax,
      uplinkUrgentPriorityMin: 7,
    },
    transitions: state.mode === "normal" ? 0 : 3,
  };
}

function healthOf(state: StubState): Health {
  const checks = ["store", "broker", "probes", "api"].map((name) =>
    name === "store" && state.failing !== undefined
      ? { name, ok: false, detail: state.failing }
      : { name, ok: true },
  );
  return { ready: state.failing === undefined, checks };
}

function deviceOf(state: StubState): Device {
  return {
    agentId: state.agentId,
    version: "0.1.0",
    startedAtMs: state.startedAtMs,
    uptimeMs: Date.now() - state.startedAtMs,
    clock: { wallMs: Date.now(), trusted: true },
    identity: {
      model: "Raspberry Pi 4 Model B Rev 1.4",
      hostname: state.agentId,
      kernel: "6.12.47+rpt-rpi-v8",
      architecture: "arm64",
      operatingSystem: "Debian GNU/Linux 13 (trixie)",
    },
    profile: {
      id: "raspberry-pi-4",
      name: "Raspberry Pi 4",
      chosenBecause: "device tree says raspberrypi,4-model-b",
    },
  };
}

function deadLettersOf(state: StubState) {
  return Array.from({ length: Math.min(20, state.deadLetters) }, (_, index) => ({
    id: `dl-${index + 1}`,
    code: index % 2 === 0 ? "payload.not-json" : "receiver.refused",
    reason:
      index % 2 === 0
        ? "The mapping sensors/+/json wants JSON, and this does not parse."
        : "The receiver answered 0x97 quota exceeded.",
    topic: `sensors/gate-${index + 1}/json`,
    priority: 5,
    deadAtMs: Date.now() - (index + 1) * 95_000,
    contentType: "application/json",
    payload: { encoding: "utf-8", data: '{"open": tru', bytes: 12, truncated: false },
  }));
}

const FEW = [
  "barn-02",
  "gateway-east",
  "greenhouse-03",
  "greenhouse-08",
  "pump-house",
  "weather-mast",
] as const;

function peerIdOf(index: number): string {
  return `12D3KooW${String(index).padStart(4, "0")}QwErTyUiOpAsDfGhJkLzXcVbNm`;
}

function fleetOf(state: StubState): FleetAgent[] {
  const names =
    state.mesh === "many"
      ? Array.from({ length: 139 }, (_, index) => `node-${String(index).padStart(3, "0")}`)
      : FEW;
  const others = names.map((agentId, index): FleetAgent => {
    const at = state.mesh === "cut" ? 4 : index % 6;
    const battery = index % 3 === 0;
    return {
      agentId,
      peerId: peerIdOf(index),
      self: false,
      state: at === 4 && index < 12 ? "dead" : at === 2 && index < 6 ? "suspect" : "alive",
      forMs: (index + 1) * 734_000,
      heardOfMsAgo: 800,
      ageMs: 800,
      confidence: 0.9,
      linked: index < 3,
      version: index === 1 ? "0.0.9" : "0.1.0",
      capabilities: {
        deviceModel: index % 2 === 0 ? "Raspberry Pi Zero 2 W Rev 1.0" : "NVIDIA Jetson Orin Nano",
        powerSupply: battery ? "battery" : "mains",
        features: [],
      },
      health: {
        status: "ok",
        powerMode: battery ? "saving" : "normal",
        ...(battery && { batteryPercent: 31 + (index % 60) }),
        queueUpdates: index === 1 ? 18_420 : index * 3,
        uplinkUp: index !== 1,
      },
    };
  });
  const self: FleetAgent = {
    agentId: state.agentId,
    peerId: peerIdOf(9_999),
    self: true,
    state: "alive",
    forMs: Date.now() - state.startedAtMs,
    heardOfMsAgo: 0,
    ageMs: 0,
    confidence: 1,
    linked: false,
    version: "0.1.0",
    capabilities: {
      deviceModel: "Raspberry Pi 4 Model B Rev 1.4",
      powerSupply: "battery",
      features: [],
    },
    health: {
      status: "ok",
      powerMode: state.mode,
      batteryPercent: 78,
      queueUpdates: state.updates,
      uplinkUp: state.uplink === "up",
    },
  };
  return [...others, self].toSorted((a, b) => a.agentId.localeCompare(b.agentId));
}

function peersOf(state: StubState): MeshPeer[] {
  if (state.mesh === "off" || state.mesh === "cut") return [];
  const linked = fleetOf(state).filter((agent) => agent.linked);
  const [first] = linked;
  if (first?.peerId === undefined) return [];
  return linked.map(({ agentId, peerId = "", state }, index) => ({
    peerId,
    agentId,
    state,
    direction: index === 1 ? ("inbound" as const) : ("outbound" as const),
    transport: index === 2 ? "quic" : "tcp",
    address:
      index === 2
        ? `/ip4/192.168.7.${20 + index}/udp/4001/quic-v1/p2p/${peerId}`
        : `/ip4/192.168.7.${20 + index}/tcp/4001/p2p/${peerId}`,
    linkedForMs: (index + 1) * 1_934_000,
  }));
}

function meshOf(state: StubState): Mesh {
  const off = state.mesh === "off";
  const faulty = state.mesh === "cut";
  return {
    enabled: !off,
    ...(!off && { peerId: peerIdOf(9_999) }),
    addresses: off ? [] : [`/ip4/127.0.0.1/tcp/4001/p2p/${peerIdOf(9_999)}`],
    transports: off ? [] : ["tcp"],
    privateNetwork: false,
    links: peersOf(state).length,
    partitionScore: faulty ? 0.86 : 0,
    bootstrap: faulty
      ? [{ address: "/dns4/hub.fleet.example/tcp/4001", attempts: 14, fault: "connect ETIMEDOUT" }]
      : [],
  };
}

/** The living of those on mains, the first of which leads; nobody where the agent is cut off. */
function rolesOf(state: StubState): Roles {
  if (state.mesh === "off") return { enabled: false };
  const able = fleetOf(state).filter(
    (agent) => agent.state === "alive" && agent.capabilities?.powerSupply === "mains",
  );
  const [first, ...others] = able.map(({ agentId, peerId = "", self }) => ({
    agentId,
    peerId,
    self,
  }));
  return {
    enabled: true,
    self: {
      agentId: state.agentId,
      peerId: peerIdOf(9_999),
      self: true,
      coordination: "worker",
      learning: ["trainer"],
    },
    ...(first !== undefined && {
      assignment: {
        term: 7,
        quorum: true,
        coordinator: first,
        validators: others.slice(0, 2),
        aggregators: others.slice(2, 4),
        reason: "members",
        ledForMs: 5_400_000,
      },
    }),
  };
}

/** Those that the roles name, the coordinator leading. */
function consensusOf(state: StubState): Consensus {
  const { assignment } = rolesOf(state);
  const leader = assignment?.coordinator;
  if (leader === undefined || assignment === undefined)
    return { enabled: state.mesh !== "off", standing: "none" };
  return {
    enabled: true,
    standing: "follows",
    committee: {
      protocol: "raft",
      quorum: 2,
      members: [leader, ...assignment.validators].map((holder, at) => ({
        ...holder,
        leads: at === 0,
        fitness: at === 2 ? "gone" : "fit",
      })),
    },
  };
}

/** One page of the fleet: by name from the place that the cursor names. */
function fleetPage(state: StubState, query: URLSearchParams) {
  const all = fleetOf(state);
  const wanted = query.get("state");
  const chosen = all.filter((agent) => wanted === null || agent.state === wanted);
  const begin = Number(query.get("cursor") ?? 0);
  const end = begin + Number(query.get("limit") ?? 50);
  const estimated = { agents: all.length, relativeError: 0 };
  const counts = { alive: 0, suspect: 0, dead: 0, left: 0, estimated };
  for (const agent of all) counts[agent.state] += 1;
  return {
    items: chosen.slice(begin, end),
    counts,
    ...(end < chosen.length && { nextCursor: String(end) }),
  };
}

/** The body of every GET, by path. */
export function answersOf(state: StubState, query: URLSearchParams): Record<string, unknown> {
  const point = pointAt(state, Date.now());
  const snapshot: ResourceSnapshot = { wallMs: point.wallMs, sample: sampleOf(state, point) };
  const prefix = query.get("prefix") ?? "";
  const matching = readingsOf(state).filter(({ stream }) => stream.startsWith(prefix));
  return {
    "/readyz": healthOf(state),
    "/v1/device": deviceOf(state),
    "/v1/resources": snapshot,
    "/v1/power": powerOf(state),
    "/v1/queue": queueOf(state),
    "/v1/queue/dead-letters": { items: deadLettersOf(state) },
    "/v1/uplinks": { items: uplinksOf(state), paused: state.paused },
    "/v1/readings": {
      items: matching.slice(0, Number(query.get("limit") ?? 25)),
      total: matching.length,
      totals: { received: 184_220 + state.tick * 8, refused: 0, deadLettered: 0, bytes: 0 },
    },
    "/v1/mesh": meshOf(state),
    "/v1/mesh/peers": { items: peersOf(state) },
    "/v1/fleet/agents": fleetPage(state, query),
    "/v1/roles": rolesOf(state),
    "/v1/consensus": consensusOf(state),
    ...learningAnswers(state, query),
    "/v1/mqtt/mappings": {
      items: [],
      broker: { kind: "embedded", connected: true, url: "mqtt://127.0.0.1:1883", clients: 3 },
    },
    "/v1/tokens/self": { id: "stub", name: "first token", scope: state.scope, createdAtMs: 0 },
  };
}
