// A group that goes on from a state: who has it executes at once, and who has not gets it from the others by its digest.
import t from "tap";
import { requestSigner, signerCredentials } from "../../../../src/consensus/pbft/credentials.ts";
import { encodeSnapshot } from "../../../../src/consensus/pbft/durable.ts";
import type { PbftEffects, PbftInput } from "../../../../src/consensus/pbft/effects.ts";
import { Group } from "../../../../src/consensus/pbft/group.ts";
import { KEYS } from "../../../../src/consensus/pbft/keys.ts";
import { PbftReplica } from "../../../../src/consensus/pbft/replica.ts";
import { makeRequest } from "../../../../src/consensus/pbft/request.ts";
import { genesisSnapshot } from "../../../../src/consensus/pbft/state.ts";
import { nodeHasher } from "../../../../src/platform/node/hasher.ts";
import { VirtualKeys } from "../../../../src/simulator/virtual-signer.ts";
import { smallOptions } from "../../../support/pbft/small-options.ts";

const keys = new VirtualKeys();
const signers = [0, 1, 2, 3].map((at) => keys.signer(`replica ${at}`));
const peers = signers.map(({ peerId }) => peerId);
const STATE = "what was before ".repeat(200);
const snapshot = genesisSnapshot(Buffer.from(STATE), nodeHasher, smallOptions);
const group = new Group("goes on", peers, nodeHasher, snapshot.digest);
const own = [[KEYS.state, encodeSnapshot(snapshot)]] as const;

/** One replica with a state that is a text, to which everything that is executed is added. */
class Node {
  readonly disk: Map<string, Uint8Array>;
  state: string | undefined;
  replica: PbftReplica;
  readonly #at: number;
  readonly #net: Net;

  constructor(net: Net, at: number, kept: Iterable<readonly [string, Uint8Array]>) {
    this.#net = net;
    this.#at = at;
    this.disk = new Map(kept);
    this.replica = this.#open();
  }

  restart(): void {
    this.state = undefined;
    this.replica = this.#open();
    this.perform(this.replica.start());
  }

  step(input: PbftInput): void {
    this.perform(this.replica.step(input));
  }

  perform(effects: PbftEffects): void {
    for (const operation of effects.persist)
      if (operation.type === "put") this.disk.set(operation.key, operation.value);
      else this.disk.delete(operation.key);
    for (const { to, bytes } of effects.send)
      for (const peer of to)
        this.#net.mail.push({ from: this.#at, to: peers.indexOf(peer), bytes });
    if (effects.install !== undefined) this.state = Buffer.from(effects.install.state).toString();
    if (effects.execute === undefined) return;
    const { sequence, requests, wantsState } = effects.execute;
    for (const { operation } of requests) this.state += Buffer.from(operation).toString();
    const state = Buffer.from(this.state ?? "");
    const results = requests.map(() => new Uint8Array(0));
    this.step({ kind: "executed", sequence, results, ...(wantsState && { state }) });
  }

  #open(): PbftReplica {
    const credentials = signerCredentials(signers[this.#at]!);
    const parts = { credentials, hasher: nodeHasher, options: smallOptions };
    return new PbftReplica({ ...parts, group, kept: this.disk });
  }
}

interface Mail {
  readonly from: number;
  readonly to: number;
  readonly bytes: Uint8Array;
}

interface Net {
  mail: Mail[];
}

class World implements Net {
  mail: Net["mail"] = [];
  readonly nodes: readonly Node[];
  #timestamp = 0;

  /** @param without the state that the group begins with */
  constructor(without: readonly number[]) {
    this.nodes = peers.map((_, at) => new Node(this, at, without.includes(at) ? [] : own));
    for (const node of this.nodes) node.perform(node.replica.start());
  }

  /** @param passes false loses the message */
  deliver(passes: (mail: Mail) => boolean = () => true): void {
    for (let one = this.mail.shift(); one !== undefined; one = this.mail.shift())
      if (passes(one))
        this.nodes[one.to]!.step({ kind: "message", from: peers[one.from]!, bytes: one.bytes });
  }

  settle(): void {
    for (let round = 0; round < 4; round++) {
      for (const node of this.nodes) node.step({ kind: "timer", timer: "resend" });
      this.deliver();
    }
  }

  ask(text: string, passes?: (mail: Mail) => boolean): void {
    const [signer] = signers;
    const named = {
      client: signer!.peerId,
      timestamp: ++this.#timestamp,
      operation: Buffer.from(text),
    };
    const { bytes } = makeRequest(group, named, requestSigner(signer!));
    for (const node of this.nodes) node.step({ kind: "request", bytes });
    this.deliver(passes);
  }
}

t.test("all have the state: what they execute is added to it", async (t) => {
  const world = new World([]);
  world.deliver();
  for (const { state } of world.nodes) t.equal(state, STATE);
  world.ask(" and more");
  for (const { state } of world.nodes) t.equal(state, `${STATE} and more`);
  for (const node of world.nodes) node.restart();
  world.settle();
  world.ask(" still");
  for (const { state } of world.nodes) t.equal(state, `${STATE} and more still`);
});

t.test(
  "who lacks the state executes nothing before it has it, and votes all the same",
  async (t) => {
    const world = new World([2, 3]);
    t.ok(world.nodes[3]!.replica.isBehind);
    const asked = world.mail;
    world.mail = [];
    world.ask(" and more");
    t.equal(
      world.nodes[0]!.state,
      `${STATE} and more`,
      "two with the state and two without decide",
    );
    t.equal(world.nodes[3]!.state, undefined);
    world.mail = asked;
    world.settle();
    for (const { state, replica } of world.nodes) {
      t.equal(state, `${STATE} and more`);
      t.notOk(replica.isBehind);
    }
    t.ok(world.nodes[3]!.disk.has(KEYS.state), "it is on record");
    world.nodes[3]!.restart();
    world.settle();
    t.equal(world.nodes[3]!.state, `${STATE} and more`);
  },
);

t.test("when the others have gone on to a checkpoint, that one is fetched instead", async (t) => {
  const world = new World([3]);
  world.mail = [];
  for (let at = 0; at < 3 * smallOptions.checkpointInterval; at++) {
    world.ask(`${at},`, ({ to }) => to !== 3);
  }
  world.settle();
  world.settle();
  t.equal(world.nodes[3]!.state, world.nodes[0]!.state);
  t.equal(world.nodes[3]!.replica.executed, world.nodes[0]!.replica.executed);
});

t.test(
  "a view that begins before the first checkpoint begins with the state as well",
  async (t) => {
    const world = new World([3]);
    world.settle();
    const primary = world.nodes.findIndex((_, at) => group.indexOf(peers[at]!) === 0);
    const others = world.nodes.filter((_, at) => at !== primary);
    const [signer] = signers;
    const named = { client: signer!.peerId, timestamp: 1, operation: Buffer.from("!") };
    const { bytes } = makeRequest(group, named, requestSigner(signer!));
    for (const node of others) node.step({ kind: "request", bytes });
    world.mail = [];
    for (const node of others) node.step({ kind: "timer", timer: "progress" });
    world.deliver(({ to }) => to !== primary);
    for (const node of others) {
      t.equal(node.replica.view, 1);
      t.equal(node.state, `${STATE}!`);
      node.restart();
      t.equal(node.state, `${STATE}!`, "also after a restart");
    }
  },
);

t.test("groups that begin with something else do not understand each other", async (t) => {
  const other = new Group("goes on", peers, nodeHasher);
  t.notSame(other.id, group.id);
});
