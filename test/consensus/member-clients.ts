import type { Random } from "../../src/platform/random.ts";
import {
  commandOf,
  drawInput,
  History,
  outputOf,
  Registers,
} from "../support/consensus/registers.ts";
import { Journal, type RaftMemberWorld } from "../support/raft-member-world.ts";

const PATIENCE_MS = 2_000;
const THINK_MS = 150;

/** A journal of commands, with the registers that they lead to. All members of a group share what was applied where. */
export class RegisterJournal extends Journal {
  registers = new Registers();
  readonly #applied: string[];

  /** @param applied by place, whoever was first */
  constructor(applied: string[]) {
    super();
    this.#applied = applied;
  }

  override apply(value: Uint8Array): Uint8Array {
    super.apply(value);
    const command = Buffer.from(value).toString();
    this.#isSame(this.values.length - 1, command);
    return Buffer.from(this.registers.apply(command));
  }

  override restore(state: Uint8Array): void {
    super.restore(state);
    this.registers = new Registers();
    for (const [at, command] of this.values.entries()) {
      this.#isSame(at, command);
      this.registers.apply(command);
    }
  }

  #isSame(at: number, command: string): void {
    const before = this.#applied[at] ?? command;
    if (before !== command)
      throw new Error(`state machine safety: ${at} is ${before} and, elsewhere, ${command}`);
    this.#applied[at] = command;
  }
}

/** Clients of running members: each asks for one thing at a time, at any of them, and gives up after a while. */
export class MemberClients {
  readonly history = new History();
  readonly #world: RaftMemberWorld;
  readonly #random: Random;
  #count = 0;
  #isOver = false;

  constructor(world: RaftMemberWorld, random: Random, clients: number) {
    this.#world = world;
    this.#random = random;
    for (let client = 0; client < clients; client++) this.#later();
  }

  /** Nothing new is asked for. */
  stop(): void {
    this.#isOver = true;
  }

  #later(): void {
    if (this.#isOver) return;
    this.#world.clock.setTimer("client", THINK_MS * this.#random.next(), () => this.#next());
  }

  #next(): void {
    const processes = [...this.#world.devices.values()].map(({ process }) => process);
    const process = processes[Math.floor(this.#random.next() * processes.length)];
    const { member, journal } = process ?? {};
    const name = `op${this.#count++}`;
    const input = drawInput(this.#random, name);
    if (member === undefined || !(journal instanceof RegisterJournal)) {
      this.#later();
      return;
    }
    this.history.called(name, input);
    const patience = { timeoutMs: PATIENCE_MS };
    const answer =
      input.kind === "read"
        ? member.read(patience).then(() => `=${journal.registers.read(input.key)}`)
        : member
            .propose(Buffer.from(commandOf(input)), patience)
            .then(({ result }) => result && Buffer.from(result).toString());
    const goOn = (): void => this.#later();
    // Of a process that is killed nothing is heard any more.
    const givenUp = this.#world.clock.setTimer("client", 2 * PATIENCE_MS, goOn);
    answer.then(
      (text) => {
        if (text !== undefined) this.history.answered(name, outputOf(text));
        givenUp.cancel();
        goOn();
      },
      () => {
        givenUp.cancel();
        goOn();
      },
    );
  }
}
