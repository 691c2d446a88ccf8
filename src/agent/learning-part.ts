import type { Config } from "../config/schema.ts";
import type { RolesView } from "../coordination/roles/view.ts";
import type { ResourceMonitor } from "../device/resource-monitor.ts";
import { MESSAGE_BYTES_MAX } from "../federated/rounds/limits.ts";
import { defaultRoundTimes } from "../federated/rounds/options.ts";
import { readRecord } from "../federated/rounds/round-record.ts";
import { decodeTalk, encodeTalk, type RoundsTalk } from "../federated/rounds/talk.ts";
import { LearningDesk } from "../federated/running/learning-desk.ts";
import type { LearningPrograms } from "../federated/running/learning-programs.ts";
import type { ReadingsSource } from "../federated/running/readings-source.ts";
import type { LearningRoles } from "../federated/running/round-parts.ts";
import { type HeadVerdict, TaskBook } from "../federated/tasks/task-book.ts";
import { LEARNING_TASKS_PROTOCOL, TaskCourier } from "../federated/tasks/task-courier.ts";
import { TaskGossip } from "../federated/tasks/task-gossip.ts";
import { defaultTensorExchangeOptions } from "../federated/tensors/options.ts";
import { TENSORS_PROTOCOL, TensorExchange } from "../federated/tensors/tensor-exchange.ts";
import { TENSORS_BULK_ID } from "../federated/tensors/tensor-server.ts";
import { TensorShelf } from "../federated/tensors/tensor-shelf.ts";
import type { LearningView } from "../federated/view.ts";
import type { Broker } from "../platform/broker.ts";
import type { EventSink } from "../platform/event-sink.ts";
import type { KeyValueStore } from "../platform/key-value-store.ts";
import { type Protocol, Refused } from "../platform/network.ts";
import type { PeerId } from "../platform/signer.ts";
import type { AgentPlatform } from "./agent-platform.ts";
import { BeforeCommittee } from "./before-committee.ts";
import { CommitteeDoor, TOPIC } from "./committee-door.ts";
import type { ConsensusPart } from "./consensus-part.ts";
import { findingsOver } from "./findings.ts";
import { LEARNING_FEATURE, Learners, learns, livingNews } from "./learners.ts";
import type { MeshPart } from "./mesh-part.ts";

const ROUNDS_PROTOCOL: Protocol = {
  id: "/agent-mesh/learning-rounds/1.0.0",
  messageBytesMax: MESSAGE_BYTES_MAX,
  queueBytesMax: 64 * MESSAGE_BYTES_MAX,
  requestsInFlightMax: 64,
};
const TELL_TIMEOUT_MS = 10_000;
/** An aggregator of a large fleet has no room for all at once. Less than what is told again waits for. */
const TELL_PATIENCE_MS = 4_000;
/** A link over which a long tensor is to come stays for so long, also in a large fleet. */
const LONG_LINGER_MS = 30_000;
/** Enough for what a round puts on the shelf before it is pinned; all of an older round may go. */
const LOOSE_TENSORS_MAX = 16;
const LOOK_EVERY_MS = 2_000;

/** Learning as a part of the agent. */
export interface LearningPart {
  readonly view: LearningView;
  /** What programs of this process bring along. */
  readonly programs: LearningPrograms;
  /** Once consensus runs. @throws StoreError */
  start(): Promise<void>;
  /** Before consensus stops. */
  stop(): Promise<void>;
}

/** @returns what an agent tells the fleet that it does; nothing where it takes no part */
export function learningFeatures({ learning }: Config): readonly string[] {
  return learning.enabled ? [LEARNING_FEATURE] : [];
}

/** @returns learning over the mesh, with what the last run left @throws StoreError */
export async function createLearningPart(
  config: Config,
  platform: Pick<AgentPlatform, "clock" | "random" | "logger" | "hasher" | "openLearning">,
  parts: {
    readonly mesh: MeshPart;
    readonly roles: RolesView;
    readonly consensus: ConsensusPart;
    readonly device: ResourceMonitor;
    readonly events: EventSink;
    readonly store: KeyValueStore;
    readonly agentId: string;
    readonly readings: ReadingsSource;
    readonly broker: Pick<Broker, "publish">;
  },
): Promise<LearningPart> {
  const { mesh, roles, consensus, device, events, store, readings } = parts;
  const { node, network, access, signer } = mesh;
  const { clock, hasher } = platform;
  const logger = platform.logger.child("learning");
  const random = platform.random.fork("learning");
  const { learning } = config;
  for (const { id } of [LEARNING_TASKS_PROTOCOL, TENSORS_PROTOCOL])
    access.requirements.protocol(id, { send: "membership" });
  access.requirements.protocol(TENSORS_BULK_ID, { send: "membership" });

  const { memoryBytesMax, storeBytesMax } = learning;
  const shelf = await TensorShelf.open(
    { store, hasher, logger },
    { memoryBytesMax, storeBytesMax, looseTensorsMax: LOOSE_TENSORS_MAX },
  );
  const exchange = new TensorExchange(
    {
      self: node.id,
      network,
      reach: (peer, question, isLong) =>
        node.errand(peer, TENSORS_PROTOCOL, question, isLong ? { lingerMs: LONG_LINGER_MS } : {}),
      shelf,
      hasher,
      clock,
      random,
      logger,
      gate: access.gate,
      mayServe: () => true,
    },
    { ...defaultTensorExchangeOptions, inFlightBytesMax: memoryBytesMax },
  );
  const readDecision = (bytes: Uint8Array): Uint8Array | undefined => {
    // Found certified when it came. Its committee may have been replaced since, and what it decided still counts.
    const { topic, value } = consensus.view.verify(bytes);
    return topic === TOPIC ? value : undefined;
  };
  const book = new TaskBook({
    store,
    signer,
    hasher,
    logger,
    judgeHead: (bytes, isOwn): HeadVerdict => {
      const { valid, fault, topic, value } = consensus.view.verify(bytes);
      if (fault === "malformed") return "malformed";
      // Of a committee, or of members, that are not known here yet; or of one that counts no more.
      if ((!valid && !isOwn) || topic !== TOPIC || value === undefined) return "lacking";
      const record = readRecord(signer, value);
      return typeof record === "string" ? record : { task: record.task, round: record.round };
    },
  });
  const gossip: TaskGossip = new TaskGossip({
    book,
    neighboursMax: config.mesh.limits.connectionsMax,
    offence: (peer, kind) => access.gate.offence(peer, kind),
    onNews: (task, news) => desk.heard(task, news),
  });
  const learners = new Learners(node, clock);
  const courier = new TaskCourier({ network, clock, logger, gate: access.gate, gossip });
  const committee = new CommitteeDoor({ consensus, clock, logger });
  const desk: LearningDesk = new LearningDesk({
    signer,
    hasher,
    clock,
    random,
    logger,
    events,
    store,
    book,
    shelf,
    exchange,
    committee,
    readDecision,
    openGround: async () => {
      const ground = await platform.openLearning?.(learning);
      if (ground === undefined) throw new Error("nothing can be learned on this platform");
      return ground;
    },
    datasets: learning.datasets.map(({ name }) => name),
    architecture: learning.architecture,
    readings,
    publish: findingsOver({ ...parts, logger }),
    times: { ...defaultRoundTimes, gatherMs: learning.gatherMs },
    tell: async (to, talk) => {
      if (to === node.id) desk.hear(to, talk);
      else
        await node.errand(to, ROUNDS_PROTOCOL, encodeTalk(talk), {
          timeoutMs: TELL_TIMEOUT_MS,
          lingerMs: lingerMsAfter(talk),
          patienceMs: TELL_PATIENCE_MS,
        });
    },
    announce: (news) => courier.announce(news),
    nameOf: (peer) => {
      const agentId = node.member(peer)?.record.agentId;
      return {
        peerId: peer,
        ...(agentId !== undefined && { agentId }),
        self: peer === node.id,
      };
    },
    roles: () => rolesIn(learners, roles, committee.members()),
    neighbours: () =>
      node
        .peers()
        .flatMap(({ id, member }) => (member !== undefined && learns(member) ? [id] : [])),
  });
  node.serve(
    ROUNDS_PROTOCOL,
    {
      request: (from, bytes) => {
        const talk = decodeTalk(signer, bytes);
        const isOther =
          talk?.kind === "word" &&
          talk.update !== undefined &&
          hasher.sha256Hex(talk.update) !== talk.word.updateHash;
        if (talk === undefined || isOther) {
          access.gate.offence(from, "malformed");
          throw new Refused("learning.malformed", "nobody understands that");
        }
        desk.hear(from, talk);
        return new Uint8Array(0);
      },
    },
    "membership",
  );
  await book.load();
  const before = new BeforeCommittee(desk, signer, TOPIC);
  consensus.onChange((seated) => {
    if (seated !== undefined) before.follow(seated);
    desk.committeeChanged();
  });
  mesh.onNetwork((event) => {
    courier.take(event);
    exchange.take(event);
  });
  node.onMember((change) => {
    const alive = livingNews(change);
    if (alive !== undefined) desk.living(change.peer, alive);
  });
  let timer: ReturnType<typeof clock.setTimer> | undefined;
  const look = (): void => {
    timer = clock.setTimer("learning.look", LOOK_EVERY_MS, look);
    before.sweep();
    desk.rolesChanged();
    desk.mayTrain(device.power().mode === "normal");
  };
  device.onPowerChange(({ mode }) => desk.mayTrain(mode === "normal"));
  return {
    view: desk,
    programs: desk.programs,
    async start() {
      desk.mayTrain(device.power().mode === "normal");
      await desk.open();
      courier.start();
      look();
    },
    async stop() {
      timer?.cancel();
      courier.stop();
      await desk.close();
      committee.stop();
      exchange.stop();
    },
  };
}

/** Whoever was told has nothing to ask back, but for an update that did not go along. */
function lingerMsAfter(talk: RoundsTalk): number {
  return talk.kind === "word" && talk.update === undefined ? LONG_LINGER_MS : 0;
}

/**
 * Who aggregates, and who could train. A member of the committee fetches all updates to judge a round, so it is a member that puts them
 * together; where fewer than two members learn, those with the role of an aggregator do so as well.
 */
function rolesIn(learners: Learners, roles: RolesView, members: readonly PeerId[]): LearningRoles {
  const seated = members.filter((peer) => learners.has(peer));
  const assigned = seated.length < 2 ? (roles.summary().assignment?.aggregators ?? []) : [];
  const others = assigned.map(({ peerId }) => peerId).filter((peer) => learners.has(peer));
  return {
    aggregators: [...new Set([...seated, ...others])],
    trainers: learners.all(),
    trainersInFleet: learners.inFleet(),
  };
}
