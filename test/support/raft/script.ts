/** One command of a text script with what it should print. */
export interface Directive {
  readonly line: number;
  readonly command: string;
  /** `key`, `key=value` or `key=(value,value)`. */
  readonly args: readonly Argument[];
  /** Lines between the command and the rule. */
  readonly input: readonly string[];
  readonly expected: readonly string[];
}

export interface Argument {
  readonly key: string;
  readonly values: readonly string[];
}

const RULE = "----";

/**
 * Reads a script: comments, then a command, its input, a rule of four dashes, and what it prints up to an empty line. A
 * second rule at once says that the output has empty lines itself and ends with two rules.
 */
export function parseScript(text: string): readonly Directive[] {
  const lines = text.split("\n");
  const directives: Directive[] = [];
  for (let at = 0; at < lines.length; ) {
    const head = lines[at] ?? "";
    if (head.trim() === "" || head.startsWith("#")) {
      at++;
      continue;
    }
    const line = at + 1;
    const input: string[] = [];
    for (at++; at < lines.length && lines[at] !== RULE; at++) input.push(lines[at] ?? "");
    at++;
    const isFenced = lines[at] === RULE;
    if (isFenced) at++;
    const expected: string[] = [];
    const isOver = (): boolean =>
      isFenced ? lines[at] === RULE && lines[at + 1] === RULE : (lines[at] ?? "") === "";
    for (; at < lines.length && !isOver(); at++) expected.push(lines[at] ?? "");
    if (isFenced) at += 2;
    const [command = "", ...args] = tokens(head);
    directives.push({ line, command, args: args.map(argument), input, expected });
  }
  return directives;
}

/** The numbers that stand by themselves among the arguments. */
export function bareIds({ args }: Directive): number[] {
  return args.filter(({ values }) => values.length === 0).map(({ key }) => Number(key));
}

/** The values of an argument; none when it is not there. */
export function valuesOf({ args }: Directive, key: string): readonly string[] {
  return args.find((one) => one.key === key)?.values ?? [];
}

function tokens(head: string): string[] {
  return head.match(/[^\s=]+(?:=(?:\([^)]*\)|\S+))?/g) ?? [];
}

function argument(token: string): Argument {
  const [key = "", value] = token.split("=", 2);
  if (value === undefined) return { key, values: [] };
  const inner = value.startsWith("(") ? value.slice(1, -1) : value;
  return { key, values: inner.split(",").map((one) => one.trim()) };
}
