import type { Random } from "../../../src/platform/random.ts";
import type { Operation } from "../../../src/simulator/checkers/linearizability.ts";
import type { RegisterInput, RegisterOutput } from "../../../src/simulator/checkers/models.ts";

const KEYS = 3;
const VALUES = 4;

/** Registers as a replicated state: commands in, answers out, all of it as short text without `;` and `|`. */
export class Registers {
  #values = new Map<string, string>();

  /** @returns `=value` of a read, `+` or `-` of the others */
  apply(command: string): string {
    const [kind, key = "", value = "", expected] = command.split(",");
    if (kind === "r") return `=${this.read(key)}`;
    if (kind === "c" && this.read(key) !== expected) return "-";
    this.#values.set(key, value);
    return "+";
  }

  read(key: string): string {
    return this.#values.get(key) ?? "";
  }

  encode(): string {
    return [...this.#values].map(([key, value]) => `${key},${value}`).join(";");
  }

  restore(text: string): void {
    this.#values = new Map(
      text === "" ? [] : text.split(";").map((pair) => pair.split(",", 2) as [string, string]),
    );
  }
}

/** @returns the command for an operation */
export function commandOf(input: RegisterInput): string {
  if (input.kind === "read") return `r,${input.key}`;
  if (input.kind === "write") return `w,${input.key},${input.value}`;
  return `c,${input.key},${input.value},${input.expected}`;
}

/** @returns what an answer says */
export function outputOf(answer: string): RegisterOutput {
  return answer.startsWith("=") ? answer.slice(1) : answer === "+";
}

/** @returns an operation that others are likely to meet */
export function drawInput(random: Random, unique: string): RegisterInput {
  const key = `k${Math.floor(random.next() * KEYS)}`;
  const draw = random.next();
  const small = (): string => String(Math.floor(random.next() * VALUES));
  if (draw < 0.4) return { kind: "read", key };
  if (draw < 0.7) return { kind: "write", key, value: random.next() < 0.5 ? unique : small() };
  return { kind: "cas", key, expected: random.next() < 0.3 ? "" : small(), value: small() };
}

type Call = { readonly input: RegisterInput; readonly calledAt: number };

/** What clients saw. Time is the order of what they did and heard. */
export class History {
  readonly #open = new Map<string, Call>();
  readonly #closed: Operation<RegisterInput, RegisterOutput>[] = [];
  #at = 0;

  /** @param name of the operation, used once */
  called(name: string, input: RegisterInput): void {
    this.#open.set(name, { input, calledAt: ++this.#at });
  }

  answered(name: string, output: RegisterOutput): void {
    const call = this.#open.get(name);
    if (call === undefined) return;
    this.#open.delete(name);
    this.#closed.push({ ...call, returnedAt: ++this.#at, output });
  }

  /** It was refused before anybody else could hear of it. */
  withdrawn(name: string): void {
    this.#open.delete(name);
  }

  get answeredCount(): number {
    return this.#closed.length;
  }

  get operations(): readonly Operation<RegisterInput, RegisterOutput>[] {
    const open = [...this.#open.values()];
    return [
      ...this.#closed,
      ...open.map((call) => ({ ...call, returnedAt: undefined, output: undefined })),
    ];
  }
}
