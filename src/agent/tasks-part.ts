import type { Config } from "../config/schema.ts";
import { defaultDelegationOptions } from "../coordination/contract-net/delegation.ts";
import {
  defaultInitiatorOptions,
  defaultParticipantOptions,
} from "../coordination/contract-net/options.ts";
import { defaultReputationOptions, Reputation } from "../coordination/contract-net/reputation.ts";
import { ContractRunner, TASKS_PROTOCOL } from "../coordination/contract-net/runner.ts";
import { defaultBidWeights } from "../coordination/contract-net/score.ts";
import { TASKS_FEATURE, takesTasks } from "../coordination/tasks/agent-offer.ts";
import { OrderDesk } from "../coordination/tasks/desk.ts";
import { FleetOffers } from "../coordination/tasks/fleet-offers.ts";
import { defaultTaskOptions } from "../coordination/tasks/options.ts";
import { featureOf, MAINS_NEED, type Named, type OrderState } from "../coordination/tasks/order.ts";
import { OrderBook } from "../coordination/tasks/order-book.ts";
import type { TasksSummary, TasksView } from "../coordination/tasks/view.ts";
import { type Handler, Workshop } from "../coordination/tasks/workshop.ts";
import type { ResourceMonitor } from "../device/resource-monitor.ts";
import type { Broker } from "../platform/broker.ts";
import type { EventSink } from "../platform/event-sink.ts";
import type { KeyValueStore } from "../platform/key-value-store.ts";
import type { PeerId } from "../platform/signer.ts";
import { PowerSupply } from "../wire/agent_mesh/v1/record_pb.ts";
import type { AgentPlatform } from "./agent-platform.ts";
import { LocalWork, namedTaskHandler } from "./local-work.ts";
import type { MeshPart } from "./mesh-part.ts";
import { nextStart } from "./starts.ts";

/** The kind that every agent performs: it tells what it is, as `GET /v1/fleet/agents` does. */
const DESCRIBE = "describe";
/** Starts of the contract net, so that calls of before are not mistaken for those of now. */
const STARTS_KEY = "t!starts";

/** Tasks as a part of the agent. */
export interface TasksPart {
  readonly view: TasksView;
  /** Takes a message of the broker. @returns whether it was an answer of a program on this device */
  takes(topic: string, payload: Uint8Array): boolean;
  /** Once the mesh runs. */
  start(): void;
  /** Before the mesh stops. */
  stop(): void;
}

/** @returns what an agent tells the fleet that it does for others; nothing where it takes no part */
export function tasksFeatures({ mesh, coordination }: Config): readonly string[] {
  const { tasks, roles } = coordination;
  if (mesh.enabled !== true || !tasks.enabled) return [];
  return [
    TASKS_FEATURE,
    featureOf(DESCRIBE),
    ...tasks.kinds.map(({ name }) => featureOf(name)),
    // Told with the roles, where there are any.
    ...(roles.enabled ? [] : roles.skills),
  ];
}

/** @returns orders and work over the mesh, with what the last run left @throws StoreError */
export async function createTasksPart(
  config: Config,
  platform: Pick<AgentPlatform, "clock" | "random" | "logger">,
  parts: {
    readonly agentId: string;
    readonly mesh: MeshPart;
    readonly device: ResourceMonitor;
    readonly events: EventSink;
    readonly store: KeyValueStore;
    readonly broker: Pick<Broker, "publish">;
  },
): Promise<TasksPart> {
  const { mesh, device, events, store, broker, agentId } = parts;
  const { node, network, access } = mesh;
  const { clock } = platform;
  const logger = platform.logger.child("tasks");
  const random = platform.random.fork("tasks");
  const { capacity, bidWithinMs, keptMax, kinds } = config.coordination.tasks;
  const options = { ...defaultTaskOptions, capacity, bidWithinMs, keptMax };

  const local = new LocalWork({
    agentId,
    broker,
    logger,
    answer: (id, answer) => workshop.answer(id, answer),
  });
  const handlers = new Map<string, Handler>([
    [DESCRIBE, namedTaskHandler(node, DESCRIBE)],
    ...kinds.map(({ name, timeoutMs }): [string, Handler] => [name, local.handler(timeoutMs)]),
  ]);
  const workshop: Workshop = new Workshop({
    clock,
    handlers,
    work: (input) => runner.work(input),
    burden: () => burdenOf(device),
    onWork: (what, { id, kind, from }, reason) => {
      const data = { taskId: id, kind, peerId: from };
      if (what === "begun") events.emit("task.offered", data);
      else
        events.emit("task.worked", { ...data, end: what, ...(reason !== undefined && { reason }) });
    },
  });
  const runner: ContractRunner = new ContractRunner({
    self: node.id,
    epoch: await nextStart(store, STARTS_KEY),
    initiator: { ...defaultInitiatorOptions, callsMax: 2 * options.openMax },
    participant: { ...defaultParticipantOptions, capacity },
    delegation: defaultDelegationOptions,
    weights: defaultBidWeights,
    reputation: new Reputation(defaultReputationOptions),
    hasSkill: (skill) => hasSkill(node, skill),
    appraise: (task) => (takesTasks(device.power().mode) ? workshop.appraise(task) : undefined),
    // Who may ask is decided at the door.
    isMember: () => true,
    network,
    reach: (peer, bytes) => node.request(peer, TASKS_PROTOCOL, bytes),
    clock,
    logger,
    gate: access.gate,
    onCall: (change) => desk.callChanged(change),
    onContract: (change) => workshop.take(change),
  });
  access.requirements.protocol(TASKS_PROTOCOL.id, { send: "request" });
  const book: OrderBook = new OrderBook({
    store,
    logger,
    options,
    isAwaited: (id) => desk.isAwaited(id),
  });
  await book.load();
  const desk: OrderDesk = new OrderDesk(
    {
      clock,
      random,
      options,
      fleet: new FleetOffers(
        {
          all: () => node.members(),
          get: (peer) => node.member(peer),
          isPartial: () => node.isPartial(),
        },
        capacity,
      ),
      nameOf: (peer) => nameOf(node, peer),
      call: (task, terms, candidates) => runner.call(task, terms, candidates),
      cancel: (call) => runner.cancel(call),
      onEvent: (type, { id, spec }, data) => {
        const peer = data["peerId"];
        const named = typeof peer === "string" ? nameOf(node, peer) : undefined;
        const agentId = named?.agentId;
        events.emit(type, {
          taskId: id,
          kind: spec.kind,
          ...data,
          ...(agentId !== undefined && { agentId }),
        });
      },
    },
    book,
  );
  mesh.onNetwork((event) => runner.take(event));
  node.onMember((change) => {
    // The desk first: what an agent leaves behind costs no attempt.
    desk.member(change.peer);
    runner.member(change);
  });
  return {
    view: {
      summary: () => summaryOf(book, desk, workshop, runner, [...handlers.keys()], capacity),
      order: (spec) => desk.order(spec),
      get: (id) => book.get(id),
      orders: () => [...book.all()].reverse(),
      cancel: (id) => desk.cancel(id),
      offers: () => workshop.offers(),
      answer: (id, answer) => workshop.answer(id, answer),
    },
    takes: (topic, payload) => local.take(topic, payload),
    start() {
      runner.start();
      desk.start();
    },
    stop() {
      desk.stop();
      workshop.stop();
      runner.stop();
    },
  };
}

/** 1 idle and on mains, 2 with a busy processor, and one more on battery. */
function burdenOf(device: ResourceMonitor): number {
  const sample = device.latest()?.sample;
  const cpu = sample?.cpu.available === true ? (sample.cpu.usedPercent ?? 0) / 100 : 0;
  return 1 + cpu + (sample?.battery.available === true ? 1 : 0);
}

/** By its own record: what it tells others is what it goes by. */
function hasSkill(node: MeshPart["node"], skill: string): boolean {
  const capabilities = node.member(node.id)?.record.capabilities;
  if (skill === MAINS_NEED) return capabilities?.powerSupply === PowerSupply.MAINS;
  return capabilities?.features.includes(skill) === true;
}

function nameOf(node: MeshPart["node"], peer: PeerId): Named {
  const agentId = node.member(peer)?.record.agentId;
  return { peer, ...(agentId !== undefined && { agentId }) };
}

function summaryOf(
  book: OrderBook,
  desk: OrderDesk,
  workshop: Workshop,
  runner: ContractRunner,
  kinds: readonly string[],
  capacity: number,
): TasksSummary {
  const orders: Record<OrderState, number> = {
    waiting: 0,
    queued: 0,
    bidding: 0,
    working: 0,
    resting: 0,
    done: 0,
    failed: 0,
    cancelled: 0,
  };
  for (const { state } of book.all()) orders[state]++;
  return {
    enabled: true,
    orders,
    counters: desk.counters(),
    work: { kinds, capacity, taken: runner.load().taken, ...workshop.counters() },
    net: runner.counters(),
  };
}
