import type { Config } from "../config/schema.ts";
import type { Agreement } from "../consensus/agreement/agreement.ts";
import { AgreementSeats } from "../consensus/committee/agreement-seats.ts";
import { Committee, type CommitteeChange } from "../consensus/committee/committee.ts";
import type { FleetSight } from "../consensus/committee/fleet-sight.ts";
import { MemberChain } from "../consensus/committee/member-chain.ts";
import {
  COMMITTEE_PROTOCOL,
  type CommitteeQuestion,
  type CommitteeReply,
  decodeAnswer,
  decodeRequest,
  encodeAnswer,
  encodeRequest,
} from "../consensus/committee/message-codec.ts";
import { membersMin } from "../consensus/committee/next-step.ts";
import { defaultCommitteeOptions } from "../consensus/committee/options.ts";
import { GroupDesk } from "../consensus/ordering/group-desk.ts";
import type { Ordering, OrderingParts, OrderingProtocol } from "../consensus/ordering/ordering.ts";
import { openPbftOrdering, PBFT_PROTOCOL } from "../consensus/pbft-member/open.ts";
import { openRaftOrdering, RAFT_PROTOCOL } from "../consensus/raft-member/raft-ordering.ts";
import { TENDERMINT_PROTOCOL } from "../consensus/tendermint-member/message-codec.ts";
import { openTendermintOrdering } from "../consensus/tendermint-member/open.ts";
import type { ConsensusView } from "../consensus/view.ts";
import { standingOf } from "../coordination/roles/suitability.ts";
import type { RolesView } from "../coordination/roles/view.ts";
import { isLiving } from "../mesh/membership/table.ts";
import type { EventSink } from "../platform/event-sink.ts";
import type { KeyValueStore } from "../platform/key-value-store.ts";
import { NetworkError, type Protocol, Refused } from "../platform/network.ts";
import type { PeerId } from "../platform/signer.ts";
import type { AgentPlatform } from "./agent-platform.ts";
import { ConsensusDesk } from "./consensus-view.ts";
import type { MeshPart } from "./mesh-part.ts";

const ASK_TIMEOUT_MS = 8_000;

/** How each protocol speaks, and how a member of it is opened. */
const ORDERINGS: Readonly<
  Record<
    OrderingProtocol,
    { readonly wire: Protocol; readonly open: (parts: OrderingParts) => Promise<Ordering> }
  >
> = {
  raft: { wire: RAFT_PROTOCOL, open: (parts) => openRaftOrdering(parts) },
  pbft: { wire: PBFT_PROTOCOL, open: (parts) => openPbftOrdering(parts) },
  tendermint: { wire: TENDERMINT_PROTOCOL, open: (parts) => openTendermintOrdering(parts) },
};

/** Agreement as a part of the agent. */
export interface ConsensusPart {
  readonly view: ConsensusView;
  /** The agreement of the seat that this agent has; undefined without one. */
  agreement(): Agreement | undefined;
  /** Hears of each seat that this agent takes, before its agreement begins; and whenever the committee may be another one. */
  onChange(listener: (seated: Agreement | undefined) => void): void;
  /** Once roles run. @throws StoreError */
  start(): Promise<void>;
  /** Before roles stop. */
  stop(): Promise<void>;
}

/** @returns what an agent tells the fleet that it offers; nothing where it takes no part */
export function consensusFeatures({ mesh, coordination, consensus }: Config): readonly string[] {
  const isOn = mesh.enabled === true && coordination.roles.enabled && consensus.enabled;
  return isOn ? [featureOf(consensus.protocol)] : [];
}

/** @returns a committee over the mesh that follows the roles */
export function createConsensusPart(
  config: Config,
  platform: Pick<AgentPlatform, "clock" | "random" | "logger" | "hasher">,
  parts: {
    readonly mesh: MeshPart;
    readonly roles: RolesView;
    readonly events: EventSink;
    readonly store: KeyValueStore;
  },
): ConsensusPart {
  const { mesh, roles, events, store } = parts;
  const { node, network, access, signer } = mesh;
  const { clock, hasher } = platform;
  const { enabled: _, ...settings } = config.consensus;
  const { protocol } = settings;
  const logger = platform.logger.child("consensus");
  const { wire, open } = ORDERINGS[protocol];
  access.requirements.protocol(wire.id, { send: "membership" });
  const listeners: ((seated: Agreement | undefined) => void)[] = [];
  const groups = new GroupDesk(
    { network, gate: access.gate, clock, link: (peer) => node.link(peer) },
    wire,
  );
  const chain = new MemberChain(signer, hasher);
  const seats = new AgreementSeats({
    signer,
    store,
    clock,
    hasher,
    logger,
    random: platform.random.fork("consensus"),
    channel: (_protocol, group) => groups.channel(group),
    open: (_protocol, ordering) => open(ordering),
    onSeat: (agreement) => {
      desk.seated(agreement);
      for (const listener of listeners) listener(agreement);
    },
  });
  const ask = async (peer: PeerId, question: CommitteeQuestion): Promise<CommitteeReply> => {
    const bytes = await node.errand(peer, COMMITTEE_PROTOCOL, encodeRequest(question), {
      timeoutMs: ASK_TIMEOUT_MS,
    });
    const answer = decodeAnswer(bytes);
    if (answer !== undefined) return answer;
    access.gate.offence(peer, "malformed");
    throw new NetworkError("network.refused", `${peer} answered what nobody understands`);
  };
  /** Everybody has to know who decides, also where the fleet is larger than its tables. */
  const seek = (): void => node.seek("committee", committee.known?.members ?? []);
  const committee: Committee = new Committee({
    signer,
    store,
    clock,
    logger,
    seats,
    ask,
    follower: chain,
    random: platform.random.fork("committee"),
    options: {
      ...defaultCommitteeOptions,
      ...settings,
      foundersMin: Math.max(settings.foundersMin, membersMin(protocol)),
    },
    sight: sightOf(node, roles, featureOf(protocol)),
    onChange: (change) => {
      tell(events, change);
      seek();
      desk.changed(change);
      for (const listener of listeners) listener(undefined);
    },
  });
  const desk = new ConsensusDesk({ committee, chain, node, signer, hasher, clock, events, ask });
  node.serve(
    COMMITTEE_PROTOCOL,
    {
      request: async (from, bytes) => {
        const question = decodeRequest(bytes);
        if (question === undefined) {
          access.gate.offence(from, "malformed");
          throw new Refused("committee.malformed", "no request");
        }
        return encodeAnswer(await committee.take(from, question));
      },
    },
    "membership",
  );
  node.onLink((event) => {
    if (event.kind === "link-up") committee.met(event.link.peer);
  });
  return {
    view: desk,
    agreement: () => desk.agreement,
    onChange: (listener) => void listeners.push(listener),
    async start() {
      await committee.open();
      seek();
      committee.start();
    },
    stop: () => committee.stop(),
  };
}

function featureOf(protocol: OrderingProtocol): string {
  return `consensus-${protocol}`;
}

function sightOf(node: MeshPart["node"], roles: RolesView, feature: string): FleetSight {
  const takesPart = (peer: PeerId): boolean =>
    node.member(peer)?.record.capabilities?.features.includes(feature) === true;
  return {
    self: node.id,
    wanted() {
      const { assignment } = roles.summary();
      if (assignment?.quorum !== true || assignment.coordinator === undefined) return [];
      const { coordinator, validators } = assignment;
      return [coordinator, ...validators].map(({ peerId }) => peerId).filter(takesPart);
    },
    fitness(peer) {
      const member = node.member(peer);
      if (member === undefined || !isLiving(member.state)) return "gone";
      return standingOf(member.record, true) === "quorum" && takesPart(peer) ? "fit" : "unfit";
    },
    neighbours: () =>
      node
        .peers()
        .map(({ id }) => id)
        .filter(takesPart),
  };
}

function tell(events: EventSink, change: CommitteeChange): void {
  switch (change.kind) {
    case "known":
    case "replaced":
    case "members": {
      const { founding, changes, members } = change.committee;
      const type = (
        { known: "founded", replaced: "replaced", members: "members-changed" } as const
      )[change.kind];
      events.emit(`consensus.${type}`, {
        group: founding.group,
        protocol: founding.protocol,
        epoch: changes.length + 1,
        members: members.length,
      });
      break;
    }
    case "seated":
    case "left":
    case "lost":
      events.emit(`consensus.${change.kind}`, { group: change.group });
      break;
    case "status":
      break;
    default:
      change satisfies never;
  }
}
