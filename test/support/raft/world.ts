import {
  type Change,
  type ChangeStepKind,
  type ChangeTransition,
  LEAVE_JOINT,
} from "../../../src/consensus/raft/change.ts";
import { type Configuration, NO_MEMBERS } from "../../../src/consensus/raft/configuration.ts";
import { NO_DATA } from "../../../src/consensus/raft/entry.ts";
import type { Message } from "../../../src/consensus/raft/message.ts";
import { defaultRaftOptions, type RaftOptions } from "../../../src/consensus/raft/options.ts";
import type { Random } from "../../../src/platform/random.ts";
import { SeededRandom } from "../../../src/platform/seeded-random.ts";
import { Faults } from "../consensus/faults.ts";
import { RaftInvariants } from "./invariants.ts";
import { RegisterClients } from "./register-clients.ts";
import { Stickiness } from "./stickiness.ts";
import { WorldNode } from "./world-node.ts";

/** What a world is like. */
export interface WorldPlan {
  readonly seed: number;
  readonly voters: number;
  readonly preVote: boolean;
  readonly checkQuorum: boolean;
  readonly asyncStorage: boolean;
  /** Clocks run alike, and reads rely on that. Wants `checkQuorum`. */
  readonly leases: boolean;
  /** All but the second node leave out what says nothing new. */
  readonly fewerMessages: boolean;
  readonly faults?: Faults;
  /** Chance that a write fails; it is made again. */
  readonly writeFailures?: number;
}

/** Nodes beyond the voters of the beginning, that changes may take in. */
const SPARE_NODES = 2;
const IN_FLIGHT_MAX = 40;
const MISHAPS = 0.002;
const CLIENTS = 4;
const ELECTION_TICKS = 6;
/** How many rounds of messages a tick can lead to, once all is well. */
const ROUNDS_MAX = 400;

/**
 * A small group on a network that loses, repeats, reorders and cuts, of nodes that lose their power. Everything that
 * happens is drawn from the seed, and after every event everything that Raft promises is checked.
 */
export class RaftWorld {
  readonly invariants = new RaftInvariants((id, index) => this.#nodes[id - 1]?.durableTerm(index));
  readonly #random: Random;
  readonly #plan: WorldPlan;
  readonly #nodes: readonly WorldNode[];
  #inFlight: Message[] = [];
  #cut: ReadonlySet<number> = new Set();
  #isOneWay = false;
  readonly #faults: Faults;
  readonly clients: RegisterClients;
  #events = 0;
  readonly #stickiness = new Stickiness(ELECTION_TICKS);
  #proposed = 0;
  #reads = 0;
  #isHealed = false;

  constructor(plan: WorldPlan) {
    this.#plan = plan;
    this.#faults = plan.faults ?? new Faults();
    this.#random = new SeededRandom(plan.seed);
    this.clients = new RegisterClients(this.#random.fork("clients"), CLIENTS);
    const voters = Array.from({ length: plan.voters }, (_, at) => at + 1);
    const all = [
      ...voters,
      ...Array.from({ length: SPARE_NODES }, (_, at) => plan.voters + 1 + at),
    ];
    const members: Configuration = { ...NO_MEMBERS, voters };
    this.#nodes = all.map((id) => this.#newNode(id, id <= plan.voters ? members : NO_MEMBERS));
  }

  /** One thing happens. */
  event(): void {
    this.#events++;
    const draw = this.#random.next();
    const node = this.#any();
    const { raft } = node;
    if (draw < (this.#plan.leases ? 0.02 : 0.1)) this.#tick(node);
    else if (draw < 0.5) this.#deliverAny();
    else if (draw < 0.83) this.#work(node);
    else if (draw < 0.86) this.clients.act(this.#nodes, this.#events);
    else if (draw < 0.88)
      raft?.propose(Buffer.from(`${this.#proposed++}`.padStart(this.#size(), "x")));
    else if (draw < 0.888) this.#proposeChange(node);
    else if (draw < 0.905) this.#read(node);
    else if (draw < 0.915) this.#transfer(node);
    else if (draw < 0.92) raft?.reportUnreachable(this.#any().id);
    else if (draw < 0.935) {
      if (this.#faults.happens("snapshot", true)) node.compact();
    } else if (draw < 0.9362) this.#cutAnew();
    else if (draw < 0.939) {
      if (this.#faults.happens("crash", raft !== undefined)) node.crash();
    } else if (draw < 0.975 && raft === undefined) this.#start(node);
    this.#look(node);
  }

  /**
   * Everything works again. @returns after how many ticks a proposal was applied by every member
   * @throws {Error} when that takes more than `ticksMax`
   */
  heal(ticksMax: number): number {
    this.#isHealed = true;
    this.#cut = new Set();
    for (const node of this.#nodes) if (node.raft === undefined) this.#start(node);
    let awaited = Number.POSITIVE_INFINITY;
    for (let tick = 1; tick <= ticksMax; tick++) {
      for (const node of this.#nodes) this.#tickOne(node);
      this.#settle();
      const leader = this.#leader();
      if (leader === undefined) continue;
      const { configuration, lastIndex, term, commit } = leader.status();
      if (awaited <= commit && leader.termAt(awaited) === term) {
        const { voters, outgoing, learners } = configuration;
        const ids = [...voters, ...outgoing, ...learners];
        if (ids.every((id) => (this.#nodes[id - 1]?.appliedIndex ?? 0) >= awaited)) return tick;
      } else if (leader.propose(Buffer.from("last")) === undefined) awaited = lastIndex + 1;
    }
    throw new Error(`liveness: nothing was applied everywhere within ${ticksMax} ticks`);
  }

  /** The last node that leads, by term. */
  #leader(): WorldNode["raft"] {
    const leaders = this.#nodes.flatMap(({ raft }) =>
      raft?.status().role === "leader" ? [raft] : [],
    );
    return leaders.toSorted((a, b) => b.status().term - a.status().term)[0];
  }

  #newNode(id: number, members: Configuration): WorldNode {
    const { preVote, checkQuorum, asyncStorage, leases, fewerMessages } = this.#plan;
    const options: RaftOptions = {
      ...defaultRaftOptions,
      id,
      preVote,
      checkQuorum,
      asyncStorage,
      fewerMessages: fewerMessages && id !== 2,
      heartbeatTicks: fewerMessages ? 2 : 1,
      readMode: leases ? "lease-based" : "safe",
      electionTicks: ELECTION_TICKS,
      // Small, so that every bound is met often.
      messageBytesMax: 100,
      applyingBytesMax: 80,
      uncommittedBytesMax: 300,
      inflightMessagesMax: 3,
      inflightBytesMax: 150,
      pendingReadsMax: 8,
    };
    const random = this.#random.fork(`node ${id}`);
    const { invariants, clients } = this;
    const send = (message: Message): void => this.#post(message);
    return new WorldNode(options, members, random, invariants, clients, send);
  }

  #post(message: Message): void {
    this.invariants.sent(message);
    this.#inFlight.push(message);
    while (this.#inFlight.length > IN_FLIGHT_MAX) this.#lose(this.#take(0));
  }

  #tick(node: WorldNode): void {
    for (const one of this.#plan.leases ? this.#nodes : [node]) {
      this.#tickOne(one);
      this.#look(one);
    }
  }

  #start(node: WorldNode): void {
    this.#stickiness.restarted(node.id);
    node.start();
  }

  #tickOne({ id, raft }: WorldNode): void {
    this.#stickiness.ticked(id);
    raft?.tick();
  }

  #deliverAny(): void {
    if (this.#inFlight.length === 0) return;
    const drawn = this.#below(this.#inFlight.length);
    const fate = this.#random.next();
    const at = this.#faults.happens("reordering", drawn > 0) ? drawn : 0;
    const isTwice = this.#faults.happens("duplication", fate < 0.1);
    const message = isTwice ? this.#inFlight[at] : this.#take(at);
    if (message === undefined) return;
    const [isFrom, isTo] = [this.#cut.has(message.from), this.#cut.has(message.to)];
    const isCut = this.#isOneWay ? isFrom && !isTo : isFrom !== isTo;
    if (isCut || this.#faults.happens("loss", fate > 0.93)) this.#lose(message);
    else this.#deliver(message);
  }

  #deliver(message: Message): void {
    const node = this.#nodes[message.to - 1];
    if (node?.raft === undefined) return this.#lose(message);
    if (this.#plan.checkQuorum) this.#stickiness.step(node.raft, message);
    else node.raft.step(message);
    if (message.kind === "snapshot") this.#report(message, true);
    this.#look(node);
  }

  #lose(message: Message | undefined): void {
    if (message?.kind === "snapshot") this.#report(message, false);
  }

  #report({ from, to }: Message, isDelivered: boolean): void {
    this.#nodes[from - 1]?.raft?.reportSnapshot(to, isDelivered);
  }

  #take(at: number): Message | undefined {
    const message = this.#inFlight[at];
    const last = this.#inFlight.pop();
    if (last !== undefined && at < this.#inFlight.length) this.#inFlight[at] = last;
    return message;
  }

  #work(node: WorldNode): void {
    const part = this.#random.next();
    const mishap = (): boolean =>
      this.#faults.happens("torn-write", !this.#isHealed && this.#random.next() < MISHAPS);
    const { writeFailures = 0 } = this.#plan;
    const isFailing = writeFailures > 0 && this.#random.next() < writeFailures;
    if (part >= 0.5 && part < 0.75 && this.#faults.happens("failed-write", isFailing))
      node.failToAppend();
    else node.work(part < 0.5 ? "ready" : part < 0.75 ? "append" : "apply", mishap);
  }

  #proposeChange({ raft }: WorldNode): void {
    const change = this.#change();
    if (this.#faults.happens("membership", raft !== undefined)) raft?.proposeChange(change);
  }

  #transfer({ raft }: WorldNode): void {
    const { id } = this.#any();
    if (this.#faults.happens("transfer", raft !== undefined)) raft?.transferLeader(id);
  }

  /** By a node, and by everybody that takes itself for the leader: one of two may have been deposed. */
  #read(node: WorldNode): void {
    for (const one of this.#nodes) {
      if (one !== node && one.raft?.status().role !== "leader") continue;
      const key = `read ${this.#reads++}`;
      this.invariants.readAsked(key);
      one.raft?.readIndex(Buffer.from(key));
    }
  }

  #change(): Change {
    if (this.#random.next() < 0.4) return LEAVE_JOINT;
    const kinds: ChangeStepKind[] = ["add-voter", "add-voter", "add-learner", "remove"];
    const transitions: ChangeTransition[] = ["auto", "auto", "implicit", "explicit"];
    const transition = transitions[this.#below(transitions.length)] ?? "auto";
    const steps = Array.from({ length: 1 + this.#below(3) }, () => ({
      kind: kinds[this.#below(kinds.length)] ?? "update",
      id: this.#any().id,
    }));
    return { transition, steps, context: NO_DATA };
  }

  /** Mostly whoever leads, perhaps with others: that is where two leaders of different terms come from. */
  #cutAnew(): void {
    const isWhole = this.#random.next() < 0.3;
    const ids = this.#nodes.flatMap(({ id, raft }) => {
      const chance = raft?.status().role === "leader" ? 0.8 : 0.25;
      return this.#random.next() < chance ? [id] : [];
    });
    this.#isOneWay = this.#random.next() < 0.3;
    const kind = this.#isOneWay ? "one-way-partition" : "partition";
    this.#cut = new Set(this.#faults.happens(kind, !isWhole) ? ids : []);
  }

  /** Delivers everything and does everything, until nothing is left to do. */
  #settle(): void {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const messages = this.#inFlight;
      this.#inFlight = [];
      for (const message of messages) this.#deliver(message);
      for (const node of this.#nodes) {
        for (const part of ["ready", "append", "apply"] as const) {
          node.work(part, () => false);
          this.#look(node);
        }
      }
      if (this.#inFlight.length === 0 && !this.#nodes.some(({ hasWork }) => hasWork)) return;
    }
    throw new Error("liveness: messages go on for ever");
  }

  #look({ raft }: WorldNode): void {
    if (raft !== undefined) this.invariants.look(raft);
  }

  #size(): number {
    return 1 + this.#below(60);
  }

  #any(): WorldNode {
    const node = this.#nodes[this.#below(this.#nodes.length)];
    if (node === undefined) throw new Error("there are no nodes");
    return node;
  }

  #below(count: number): number {
    return Math.floor(this.#random.next() * count);
  }
}
