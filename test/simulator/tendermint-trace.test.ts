// The worked example of docs/tendermint.md is what happens.
import t from "tap";
import type { TendermintInput, TendermintTimer } from "../../src/consensus/tendermint/effects.ts";
import type { TendermintMessage } from "../../src/consensus/tendermint/messages.ts";
import { defaultTendermintOptions } from "../../src/consensus/tendermint/options.ts";
import { Tendermint } from "../../src/consensus/tendermint/tendermint.ts";
import type { PeerId } from "../../src/platform/signer.ts";
import { plainHasher } from "../../src/simulator/plain-hasher.ts";
import { VirtualKeys } from "../../src/simulator/virtual-signer.ts";
import { sameAsDocumented } from "../support/consensus/documented-trace.ts";

const NAMES = ["a", "b", "c", "d"];

interface Mail {
  readonly from: PeerId;
  readonly to: PeerId;
  readonly message: TendermintMessage;
}

/** Four validators of equal power, a message at a time, and a line for whatever happens. */
class Scene {
  readonly lines: string[] = [];
  readonly #nodes = new Map<PeerId, Tendermint>();
  readonly #names = new Map<PeerId, string>();
  readonly #mail: Mail[] = [];
  readonly #timers: { readonly of: PeerId; readonly timer: TendermintTimer }[] = [];
  /** What there is to be decided, in turn. */
  readonly #wishes = ["open the valve", "close the valve"];

  constructor() {
    const keys = new VirtualKeys();
    const signers = NAMES.map((name) => keys.signer(`tendermint trace ${name}`)).sort((x, y) =>
      x.peerId < y.peerId ? -1 : 1,
    );
    const validators = signers.map(({ peerId }) => ({ id: peerId, power: 1 }));
    for (const [at, signer] of signers.entries()) {
      this.#names.set(signer.peerId, NAMES[at] ?? "?");
      this.#nodes.set(
        signer.peerId,
        new Tendermint({
          signer,
          hasher: plainHasher,
          options: defaultTendermintOptions,
          instance: "trace",
          validators,
          firstHeight: 1,
        }),
      );
    }
  }

  say(text: string): void {
    this.lines.push(text);
  }

  start(): void {
    for (const peer of this.#nodes.keys()) this.#step(peer, { kind: "start" });
    this.#deliver();
  }

  next(): void {
    for (const peer of this.#nodes.keys()) this.#step(peer, { kind: "next-height", changes: [] });
    this.#deliver();
  }

  proposer(): string {
    const [node] = this.#nodes.values();
    return this.#names.get(node?.proposer ?? "") ?? "?";
  }

  kill(name: string): void {
    for (const [peer, known] of this.#names) if (known === name) this.#nodes.delete(peer);
  }

  /** All of these waits are over. */
  lapse(kind: TendermintTimer["kind"]): void {
    const due = this.#timers.filter(({ timer }) => timer.kind === kind);
    for (const { of, timer } of due) this.#step(of, { kind: "timeout", timer });
    this.#deliver();
  }

  height(): number {
    return Math.min(...Array.from(this.#nodes.values(), ({ state }) => state.height));
  }

  isDecided(): boolean {
    return [...this.#nodes.values()].every(({ decision }) => decision !== undefined);
  }

  #deliver(): void {
    for (let mail = this.#mail.shift(); mail !== undefined; mail = this.#mail.shift()) {
      const { from, to, message } = mail;
      if (!this.#nodes.has(to)) continue;
      const words = wordsOf(message);
      if (words !== undefined)
        this.say(`   ${this.#names.get(from)} → ${this.#names.get(to)} ${words}`);
      this.#step(to, { kind: "message", from, message });
    }
  }

  #step(peer: PeerId, input: TendermintInput): void {
    const node = this.#nodes.get(peer);
    if (node === undefined) return;
    const { persist, send, timers, decide, requests } = node.step(input);
    const name = this.#names.get(peer);
    for (const entry of persist)
      if (entry.kind === "vote" || entry.kind === "proposal" || entry.kind === "decision")
        this.say(`   ${name}     writes to disk: its ${entry.kind}`);
    for (const { to, message } of send)
      for (const other of this.#names.keys())
        if (other !== peer && (to === undefined || to === other))
          this.#mail.push({ from: peer, to: other, message });
    for (const { timer } of timers) this.#timers.push({ of: peer, timer });
    for (const { height, round, value } of decide)
      this.say(
        `   ${name}     decides at height ${height}, in round ${round}: ${Buffer.from(value).toString()}`,
      );
    for (const request of requests) {
      if (request.kind === "value") {
        const value = Buffer.from(this.#wishes[request.height - 1] ?? "");
        this.#step(peer, { kind: "value", height: request.height, round: request.round, value });
      }
      if (request.kind === "verdict")
        this.#step(peer, {
          kind: "verdict",
          height: request.height,
          valueId: request.valueId,
          isValid: true,
        });
    }
  }
}

function wordsOf(message: TendermintMessage): string | undefined {
  // oxlint-disable-next-line typescript/switch-exhaustiveness-check -- what is left out would fill the page
  switch (message.kind) {
    case "proposal": {
      const { height, round, valueId } = message.proposal;
      return `proposal at height ${height}, round ${round}: value ${valueId.slice(0, 6)}`;
    }
    case "votes":
      return message.votes
        .map(
          ({ kind, height, round, valueId }) =>
            `${kind} at height ${height}, round ${round}: ${valueId === null ? "nil" : `value ${valueId.slice(0, 6)}`}`,
        )
        .join("; ");
    case "decision":
      return "decision, with its certificate";
    default:
      return undefined;
  }
}

t.test("the worked example", async (t) => {
  const scene = new Scene();
  scene.say("1. Height 1: all are well");
  scene.start();
  t.ok(scene.isDecided());
  const first = scene.lines.length;
  scene.next();
  // Only to know whose turn it would have been: this height is played with that one gone.
  const played = new Scene();
  played.say("1. Height 1: all are well");
  played.start();
  t.equal(played.lines.length, first);
  const absent = scene.lines.find((line) => line.includes("proposal at height 2"))?.trim()[0] ?? "";
  played.kill(absent);
  played.say(`2. ${absent} is killed; it would have been its turn to propose at height 2`);
  played.next();
  played.say("3. Nothing happens until the others lose patience, and vote for nil");
  played.lapse("propose");
  played.say("4. Nobody has anything to agree on in this round, so it ends");
  played.lapse("precommit");
  played.say("5. Height 2 is decided in the next round, by another proposer");
  t.ok(played.isDecided());
  t.equal(played.height(), 2);
  sameAsDocumented(t, "tendermint.md", played.lines);
});
