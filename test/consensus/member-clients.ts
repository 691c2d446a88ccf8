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

/** What was applied in which place, whoever was first. */
export class Applied {
  readonly #commands: string[] = [];
  readonly #places = new Map<string, number>();

  get count(): number {
    return this.#commands.length;
  }

  /** @throws Error when it is another one than elsewhere, or was applied before: no two commands are the same */
  at(place: number, command: string): void {
    const there = this.#commands[place] ?? command;
    if (there !== command)
      throw new Error(`state machine safety: ${place} is ${there} and, elsewhere, ${command}`);
    const before = this.#places.get(command) ?? place;
    if (before !== place)
      throw new Error(`exactly once: ${command} is applied at ${before} and ${place}`);
    this.#commands[place] = command;
    this.#places.set(command, place);
  }
}

/** A journal of commands, with the registers that they lead to. All members of a group share what was applied where. */
export class RegisterJournal extends Journal {
  registers = new Registers();
  readonly #applied: Applied;

  constructor(applied: Applied) {
    super();
    this.#applied = applied;
  }

  override apply(value: Uint8Array): Uint8Array {
    super.apply(value);
    const command = Buffer.from(value).toString();
    this.#applied.at(this.values.length - 1, command);
    return Buffer.from(this.registers.apply(withoutName(command)));
  }

  override restore(state: Uint8Array): void {
    super.restore(state);
    this.registers = new Registers();
    for (const [at, command] of this.values.entries()) {
      this.#applied.at(at, command);
      this.registers.apply(withoutName(command));
    }
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
            .propose(Buffer.from(`${commandOf(input)}#${name}`), patience)
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

function withoutName(command: string): string {
  return command.split("#", 1)[0] ?? "";
}
