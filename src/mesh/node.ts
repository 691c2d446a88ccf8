import type { Permission } from "../access/roles.ts";
import {
  type BulkOffer,
  type BulkSink,
  type BulkSource,
  NetworkError,
  type NetworkEvent,
  type NetworkPace,
  type Protocol,
  type Service,
} from "../platform/network.ts";
import type { PeerId } from "../platform/signer.ts";
import { EventListeners } from "./event-listeners.ts";
import { BootstrapDialer, type BootstrapStatus } from "./fleet/bootstrap-dialer.ts";
import { needOfBootstrap } from "./fleet/bootstrap-need.ts";
import type { ErrandOptions } from "./fleet/errands.ts";
import type { FleetSize } from "./membership/fleet-sample.ts";
import type { Member, MemberChange, MemberCounts } from "./membership/member.ts";
import type { MembershipPace } from "./membership/options.ts";
import { Content, type ContentListener } from "./messaging/content.ts";
import type { Origin } from "./messaging/envelope.ts";
import { taskProtocolId } from "./messaging/names.ts";
import type { ChannelOpener, SecureChannel } from "./messaging/secure-channel.ts";
import { type Task, Tasks } from "./messaging/tasks.ts";
import type { TopicListener } from "./messaging/topics.ts";
import type { MeshParts, MessageListener, Peer } from "./node-parts.ts";
import { requireOwn } from "./own-requirements.ts";
import type { SelfDescription } from "./records/record-codec.ts";
import { RunningNode } from "./running-node.ts";
import type { SurveyRunner } from "./survey/runner.ts";

const REQUEST_TIMEOUT_MS = 10_000;
const MAIL_TIMEOUT_MS = 60_000;
const CONNECT_TIMEOUT_MS = 10_000;

/**
 * A node of the mesh. It finds its neighbours, knows the fleet, and carries messages, tasks, topics and channels; every
 * node is like every other.
 */
export class MeshNode implements ChannelOpener {
  readonly id: PeerId;
  readonly #parts: MeshParts;
  readonly #bootstrap: BootstrapDialer;
  readonly #messageListeners = new Set<MessageListener>();
  readonly #memberListeners: EventListeners<MemberChange>;
  readonly #linkListeners: EventListeners<NetworkEvent>;
  readonly #tasks: Tasks;
  readonly #content: Content;
  #acceptChannel: ((channel: SecureChannel) => void) | undefined;
  #self: SelfDescription;
  /** By who wants to know them. */
  readonly #sought = new Map<string, readonly PeerId[]>();
  #running: RunningNode | undefined;
  #stopping: Promise<void> | undefined;

  constructor(parts: MeshParts) {
    const { clock, random, network, limits, membership } = parts;
    const link = (peer: PeerId): Promise<void> => this.#linkTo(peer);
    const onFault = (error: unknown): void => this.#failed(error);
    this.#parts = parts;
    this.#tasks = new Tasks({ network, limits, link });
    this.#content = new Content(network, link);
    this.#memberListeners = new EventListeners(onFault);
    this.#linkListeners = new EventListeners(onFault);
    this.id = network.self;
    this.#self = parts.self;
    this.#bootstrap = new BootstrapDialer({
      clock,
      random,
      dial: (address) =>
        network.connect({ addresses: [address] }, { timeoutMs: CONNECT_TIMEOUT_MS }),
      need: (who) =>
        needOfBootstrap(who, {
          links: network.links(),
          fleet: this.#running?.fleet,
          options: membership,
        }),
    });
  }

  /**
   * Listens, joins over the addresses to begin with, and looks for neighbours from then on.
   * @throws Error in words that name the setting when an address can not be had
   * @throws StoreError
   */
  async start(): Promise<void> {
    const { network, memory, remember, requirements, bootstrap } = this.#parts;
    if (requirements !== undefined) requireOwn(requirements);
    const epoch = await memory.nextEpoch();
    const running = new RunningNode(this.#parts, {
      epoch,
      remembered: remember ? await memory.records() : [],
      link: (peer) => this.#linkTo(peer),
      onMessage: (from, payload) => this.#received(from, payload),
      onChange: (change) => {
        this.#parts.onChange?.(change);
        this.#memberListeners.tell(change);
      },
      onFault: (error) => this.#failed(error),
    });
    if (this.#acceptChannel !== undefined) running.channels.onChannel(this.#acceptChannel);
    this.#running = running;
    await network.start((event) => this.#take(event));
    this.#describe(false);
    running.fleet.start();
    this.#seek();
    for (const address of bootstrap) this.#bootstrap.add(address).catch(() => undefined);
  }

  /** Says good-bye to the neighbours and closes every link. Idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /**
   * Links to nodes of a mesh, and thereby to the mesh. Addresses that do not answer are tried again, for ever.
   * @param addresses multiaddresses, for example `/ip4/192.0.2.7/tcp/4001`
   * @returns who answered @throws NetworkError when nobody did
   */
  join(addresses: readonly string[]): Promise<readonly PeerId[]> {
    return this.#bootstrap.addAll(addresses);
  }

  /** Opens a link to a node of the mesh, unless there is one. @throws NetworkError */
  link(peer: PeerId): Promise<void> {
    return this.#linkTo(peer);
  }

  /** Closes the links to a node. It may come back. @returns false when there is none */
  async unlink(peer: PeerId): Promise<boolean> {
    const { network } = this.#parts;
    if (!network.links().some((link) => link.peer === peer)) return false;
    await network.disconnect(peer);
    return true;
  }

  /** Addresses under which others can dial this node. */
  addresses(): readonly string[] {
    return this.#parts.network.addresses();
  }

  /** Everybody to whom there is a link. */
  peers(): readonly Peer[] {
    const fleet = this.#running?.fleet;
    return this.#parts.network.links().map((link) => {
      const member = fleet?.member(link.peer);
      return { id: link.peer, link, ...(member !== undefined && { member }) };
    });
  }

  /** Every agent of the fleet that is known, linked or not, this one too. */
  members(): Iterable<Member> {
    return this.#running?.fleet.members() ?? [];
  }

  /** @returns what is known of one agent */
  member(peer: PeerId): Member | undefined {
    return this.#running?.fleet.member(peer);
  }

  /**
   * Says whom this node has to know, however large the fleet is, in place of what the same owner said before.
   * @param peers few: everybody keeps a place in the table for them
   */
  seek(owner: string, peers: readonly PeerId[]): void {
    if ((this.#sought.get(owner) ?? []).join() === peers.join()) return;
    this.#sought.set(owner, [...peers]);
    this.#seek();
  }

  /** Hears what happens to members, this agent's own news among it. @returns what ends it */
  onMember(listener: (change: MemberChange) => void): () => void {
    return this.#memberListeners.add(listener);
  }

  /** Hears of links that come and go. @returns what ends it */
  onLink(listener: (event: NetworkEvent) => void): () => void {
    return this.#linkListeners.add(listener);
  }

  /** @returns how many agents there are; none before the start */
  memberCounts(): MemberCounts {
    return this.#running?.fleet.counts() ?? { alive: 0, suspect: 0, dead: 0, left: 0 };
  }

  /** There may be agents beyond those that this one knows: it has no room for more. False before the start. */
  isPartial(): boolean {
    return this.#running?.fleet.isPartial() ?? false;
  }

  /** How many agents there are, those that this one has no room for too; itself before the start. */
  fleetSize(): FleetSize {
    return this.#running?.fleet.size() ?? { agents: 1, relativeError: 0 };
  }

  /** Finds the agents that this one has no room for, by asking others; undefined before the start. */
  surveys(): SurveyRunner | undefined {
    return this.#running?.surveys;
  }

  /** What came and was not taken, since the start, by kind: replayed, older than what is known, malformed. */
  untaken(): Readonly<Record<string, number>> {
    return this.#running?.untaken() ?? {};
  }

  /** Share of the fleet that was there lately and is not reachable now, 0 to 1. */
  partitionScore(): number {
    return this.#running?.fleet.partitionScore() ?? 0;
  }

  bootstrapStatus(): readonly BootstrapStatus[] {
    return this.#bootstrap.status();
  }

  /**
   * Answers to a protocol of its own.
   * @param permission what others need to use it @throws Error when it is served already
   */
  serve(protocol: Protocol, service: Service, permission: Permission): void {
    this.#parts.network.serve(protocol, service);
    this.#parts.requirements?.protocol(protocol.id, { send: permission });
  }

  /** Asks a node, over a link that is opened if there is none. @returns its answer @throws NetworkError */
  async request(
    peer: PeerId,
    protocol: Protocol,
    payload: Uint8Array,
    { timeoutMs = REQUEST_TIMEOUT_MS } = {},
  ): Promise<Uint8Array> {
    await this.#linkTo(peer);
    return this.#parts.network.request(peer, protocol, payload, { timeoutMs });
  }

  /**
   * As {@link MeshNode.request}, for what everybody in the fleet may ask of few: a link that is opened for it is closed again, where the
   * fleet is too large for everybody to stay.
   * @throws NetworkError
   */
  errand(
    peer: PeerId,
    protocol: Protocol,
    payload: Uint8Array,
    {
      timeoutMs = REQUEST_TIMEOUT_MS,
      ...options
    }: ErrandOptions & { readonly timeoutMs?: number } = {},
  ): Promise<Uint8Array> {
    const { network } = this.#parts;
    return this.#require().errands.run(
      peer,
      () => network.request(peer, protocol, payload, { timeoutMs }),
      options,
    );
  }

  /**
   * Offers work to other nodes, which ask for it with {@link MeshNode.callTask}.
   * @param options `permission`: what they need to be allowed to ask
   * @throws RangeError for a name that can not be one @throws Error when it is taken
   */
  attachTask(
    name: string,
    task: Task,
    { permission = "request" }: { readonly permission?: Permission } = {},
  ): void {
    this.#tasks.attach(name, task);
    this.#parts.requirements?.protocol(taskProtocolId(name), { send: permission });
  }

  /**
   * Has a node do a task, this one too. @returns its result
   * @throws NetworkError `network.refused` with the code with which it said no, `network.unsupported` when it does not
   *   offer the task
   */
  callTask(
    peer: PeerId,
    name: string,
    payload: Uint8Array,
    { timeoutMs = REQUEST_TIMEOUT_MS } = {},
  ): Promise<Uint8Array> {
    return this.#tasks.call(peer, name, payload, timeoutMs);
  }

  /**
   * Publishes to all who listen to a topic.
   * @param origin where a bridge has it from; absent for what this node says itself
   * @returns to how many neighbours it went; they pass it on @throws RangeError, NetworkError
   */
  broadcast(topic: string, payload: Uint8Array, origin?: Origin): Promise<number> {
    return this.#require().topics.broadcast(topic, payload, origin);
  }

  /**
   * Listens to a topic. @returns what ends it
   * @throws RangeError for a name that can not be one
   */
  subscribe(topic: string, listener: TopicListener): () => void {
    return this.#require().topics.subscribe(topic, listener);
  }

  /** Topics listened to here. */
  topics(): readonly string[] {
    return this.#running?.topics.subscribed() ?? [];
  }

  /**
   * Sends a message to one agent, linked or not: it arrives once, after all earlier ones, and is sent again over links
   * that break, until `timeoutMs` have passed.
   * @returns once it was received
   * @throws NetworkError `network.timeout` when no acknowledgement came, which does not mean that it never arrived
   */
  sendToPeer(
    peer: PeerId,
    payload: Uint8Array,
    { timeoutMs = MAIL_TIMEOUT_MS } = {},
  ): Promise<void> {
    return this.#require().mail.send(peer, payload, timeoutMs);
  }

  /** Hears messages to this node. @returns what ends it */
  onMessage(listener: MessageListener): () => void {
    this.#messageListeners.add(listener);
    return () => this.#messageListeners.delete(listener);
  }

  /**
   * Sends content of any size to another node, which takes it with {@link MeshNode.onContent}.
   * @param onProgress hears how many bytes are there
   * @throws NetworkError; a later call with the same source goes on where this one stopped
   */
  sendContent(
    peer: PeerId,
    source: BulkSource,
    onProgress?: (bytes: number) => void,
  ): Promise<void> {
    return this.#content.send(peer, source, onProgress);
  }

  /** Takes content that others send; without it they are refused with `content.unwanted`. */
  onContent(accept: ContentListener): void {
    this.#content.onContent(accept);
  }

  /** Takes content that is for this node, whichever way it came. @throws Refused */
  takeContent(offer: BulkOffer): BulkSink | Promise<BulkSink> {
    return this.#content.take(offer);
  }

  /** Opens a channel, as `SecureChannel.establish` does. @throws NetworkError */
  openChannel(peer: PeerId): Promise<SecureChannel> {
    return this.#require().channels.open(peer);
  }

  /** Takes channels that others establish; without it they are refused. */
  onChannel(accept: (channel: SecureChannel) => void): void {
    this.#acceptChannel = accept;
    this.#running?.channels.onChannel(accept);
  }

  /**
   * Tells the fleet something else of this agent.
   * @param slow it may wait until the fleet is told anyway: a minute in a small fleet, longer in a large one
   * @throws RangeError when it is longer than others would take
   */
  describe(self: SelfDescription, { slow }: { readonly slow: boolean } = { slow: false }): void {
    this.#self = self;
    this.#describe(slow);
  }

  /** Follows the power policy. */
  setPace(membership: MembershipPace, network: NetworkPace): void {
    this.#running?.fleet.setPace(membership);
    this.#parts.network.setPace(network);
  }

  async #stop(): Promise<void> {
    this.#bootstrap.stop();
    await this.#running?.stop();
    await this.#parts.network.stop();
  }

  #seek(): void {
    this.#running?.fleet.seek([...new Set([...this.#sought.values()].flat())]);
  }

  #require(): RunningNode {
    if (this.#running === undefined)
      throw new NetworkError("network.closed", "the node has not been started");
    return this.#running;
  }

  async #linkTo(peer: PeerId): Promise<void> {
    await this.#require().fleet.link(peer);
  }

  #take(event: NetworkEvent): void {
    if (this.#running === undefined) return;
    this.#running.take(event);
    if (event.kind === "link-down") this.#bootstrap.hurry();
    if (event.kind === "addresses") this.#describe(false);
    this.#parts.onLink?.(event);
    this.#linkListeners.tell(event);
  }

  #describe(slow: boolean): void {
    const addresses = this.#parts.network.addresses().slice(0, 16);
    this.#running?.fleet.describe({ ...this.#self, addresses }, slow);
  }

  #failed(error: unknown): void {
    this.#parts.logger.error("a listener of the mesh failed", { error });
  }

  async #received(from: PeerId, payload: Uint8Array): Promise<void> {
    for (const listener of this.#messageListeners) await listener(from, payload);
  }
}
