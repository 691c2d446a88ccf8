import { auditedEvents } from "../access/audited-events.ts";
import { MeshAccess } from "../access/mesh-access.ts";
import type { Config } from "../config/schema.ts";
import type { ResourceMonitor } from "../device/resource-monitor.ts";
import { FleetMemory } from "../mesh/fleet/fleet-memory.ts";
import { directoryRules } from "../mesh/fleet/record-directory.ts";
import type { MemberChange } from "../mesh/membership/member.ts";
import { defaultMembershipOptions } from "../mesh/membership/options.ts";
import { MeshNode } from "../mesh/node.ts";
import { meshPace } from "../mesh/pace.ts";
import { CachingVerifier, type RecordVerifier } from "../mesh/records/record-verifier.ts";
import type { MeshView } from "../mesh/view.ts";
import type { Clock } from "../platform/clock.ts";
import type { EventSink, EventType } from "../platform/event-sink.ts";
import type { KeyValueStore } from "../platform/key-value-store.ts";
import { isLoopback } from "../platform/loopback.ts";
import type { Network, NetworkEvent, NetworkGate } from "../platform/network.ts";
import type { Signer } from "../platform/signer.ts";
import type { EventLog } from "../telemetry/event-log.ts";
import type { AgentPlatform, MeshGround } from "./agent-platform.ts";
import { meshView } from "./mesh-view.ts";
import { describeSelf, isNews, type SelfParts } from "./self-description.ts";

/** What changes slowly is looked at this often, and told with the next refresh of the agent's record. */
const DESCRIBE_INTERVAL_MS = 30_000;

/** What happens to other agents that a fleet manager wants to hear of. */
const MEMBER_EVENTS: Partial<Readonly<Record<MemberChange["kind"], EventType>>> = {
  joined: "mesh.agent-joined",
  dead: "mesh.agent-dead",
  back: "mesh.agent-back",
  left: "mesh.agent-left",
};

/** What the mesh of an agent is made of. */
export interface MeshSurroundings {
  readonly ground: MeshGround;
  readonly store: KeyValueStore;
  readonly device: ResourceMonitor;
  readonly events: EventLog;
  readonly self: SelfParts;
}

/** The mesh as a part of the agent. */
export interface MeshPart {
  readonly node: MeshNode;
  readonly view: MeshView;
  readonly access: MeshAccess;
  readonly signer: Signer;
  readonly network: Network;
  readonly verifier: RecordVerifier;
  /** Hears what the network tells, after the node did. */
  onNetwork(listener: (event: NetworkEvent) => void): void;
  /** Tells the fleet how the agent is, if that is news. */
  describe(): void;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** @returns a node that follows the power policy and tells the fleet how the agent is */
export async function createMeshPart(
  config: Config,
  platform: AgentPlatform,
  surroundings: MeshSurroundings,
): Promise<MeshPart> {
  const { clock, random, hasher } = platform;
  const logger = platform.logger.child("mesh");
  const { ground, store, device, events, self } = surroundings;
  const options = config.mesh;
  const { limits, discovery } = options;
  const access = await MeshAccess.open({
    store,
    clock,
    random: random.fork("access"),
    hasher,
    signer: ground.signer,
    logger: platform.logger.child("access"),
    events,
    options: options.access,
    connectionsMax: limits.connectionsMax,
  });
  const tokens = auditedEvents({ emit: () => undefined }, access.audit);
  events.subscribe(({ type, data }) => tokens.emit(type, data));
  const gate = doorOf(access, clock);
  const pace = meshPace(device.power().mode);
  const verifier =
    ground.verifier ?? new CachingVerifier(ground.signer, Math.min(limits.membersMax, 4_096));
  const network = await ground.createNetwork({
    gate,
    rules: directoryRules(verifier),
    pace: pace.network,
  });
  access.attach(network);
  const listeners: ((event: NetworkEvent) => void)[] = [];
  const node = new MeshNode({
    network,
    signer: ground.signer,
    clock,
    random: random.fork("mesh"),
    logger,
    gate,
    requirements: access.requirements,
    verifier,
    memory: new FleetMemory(store),
    membership: {
      ...defaultMembershipOptions,
      pace: pace.membership,
      membersMax: limits.membersMax,
      neighboursWanted: limits.neighboursWanted,
    },
    limits,
    self: describeSelf(self),
    bootstrap: options.bootstrap,
    remember: discovery.remember,
    peerExchange: discovery.peerExchange,
    onChange: (change) => tellOfMember(events, node.id, change),
    onLink: (event) => {
      if (event.kind === "link-up") access.linkUp(event.link.peer);
      if (event.kind === "link-down") access.linkDown(event.peer);
      tellOfLink(events, event);
      for (const listener of listeners) listener(event);
    },
  });
  let told = describeSelf(self);
  let toldAtMs = clock.monotonicMs();
  const describe = (): void => {
    const now = describeSelf(self);
    const slow = !isNews(told, now);
    if (slow && clock.monotonicMs() - toldAtMs < DESCRIBE_INTERVAL_MS) return;
    told = now;
    toldAtMs = clock.monotonicMs();
    node.describe(now, { slow });
  };
  return {
    node,
    access,
    view: meshView(node, network, options, clock),
    signer: ground.signer,
    network,
    verifier,
    onNetwork: (listener) => void listeners.push(listener),
    describe,
    async start() {
      if (isOpenToAll(options))
        logger.warn(
          "the mesh lets every node in that can reach mesh.host; set mesh.networkKeyFile, or mesh.access.mode=granted",
          { host: options.host },
        );
      await node.start();
      device.onSnapshot(describe);
      device.onPowerChange(({ mode }) => {
        const { membership, network } = meshPace(mode);
        node.setPace(membership, network);
        describe();
      });
    },
    async stop() {
      await node.stop();
      await access.close();
    },
  };
}

/** Strangers that come in from one network are counted; keys cost nothing. */
function doorOf({ gate, book, identities, ledger }: MeshAccess, clock: Clock): NetworkGate {
  return {
    admits(peer, from) {
      if (!gate.admits(peer)) return false;
      if (from === undefined || book.standingOf(peer).live) return true;
      if (identities.admits(from, peer, clock.monotonicMs())) return true;
      ledger.offence(peer, "connect-flood");
      return false;
    },
    allows: (peer, what, bytes) => gate.allows(peer, what, bytes),
    offence: (peer, kind) => gate.offence(peer, kind),
  };
}

/** Not a fault: a lab wants it so. */
function isOpenToAll({ host, networkKeyFile, access }: Config["mesh"]): boolean {
  return !isLoopback(host) && networkKeyFile === undefined && access.mode === "open";
}

function tellOfMember(events: EventSink, self: string, change: MemberChange): void {
  const type = MEMBER_EVENTS[change.kind];
  if (type === undefined || change.peer === self) return;
  events.emit(type, { peerId: change.peer, agentId: change.after.record.agentId });
}

function tellOfLink(events: EventSink, event: NetworkEvent): void {
  if (event.kind === "link-up") {
    const { peer, address, transport, direction } = event.link;
    events.emit("mesh.peer-linked", { peerId: peer, address, transport, direction });
  }
  if (event.kind === "link-down") events.emit("mesh.peer-unlinked", { peerId: event.peer });
}
