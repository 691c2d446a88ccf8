import type { Operation } from "../../../src/simulator/checkers/linearizability.ts";
import type {
  RegisterInput,
  RegisterOutput,
  TextInput,
} from "../../../src/simulator/checkers/models.ts";

type Open<Input> = { readonly input: Input; readonly calledAt: number };

const JEPSEN =
  /^INFO\s+jepsen\.util - (\d+)\s+:(invoke|ok|fail|info)\s+:(read|write|cas)\s+(nil|\d+|\[\d+ \d+\]|:timed-out)$/;
const TEXT =
  /^\{:process (\d+), :type :(invoke|ok), :f :(get|put|append), :key "(.*)", :value (nil|"(.*)")\}$/;

/** Reads what Jepsen wrote of one register of etcd. What timed out, and what the log ends before, was never answered. */
export function readJepsen(log: string): Operation<RegisterInput, RegisterOutput>[] {
  const history: Operation<RegisterInput, RegisterOutput>[] = [];
  const open = new Map<string, Open<RegisterInput>>();
  let at = 0;
  for (const line of log.split("\n")) {
    const [, process = "", type, kind, value = ""] = JEPSEN.exec(line.trimEnd()) ?? [];
    if (type === undefined) continue;
    at++;
    const call = open.get(process);
    if (type === "invoke") open.set(process, { input: jepsenInput(kind, value), calledAt: at });
    else if (value !== ":timed-out" && call !== undefined) {
      open.delete(process);
      const output = kind === "read" ? value.replace("nil", "") : type === "ok";
      history.push({ ...call, returnedAt: at, output });
    } else if (kind === "read") open.delete(process);
  }
  for (const call of open.values())
    history.push({ ...call, returnedAt: undefined, output: undefined });
  return history;
}

function jepsenInput(kind: string | undefined, value: string): RegisterInput {
  const key = "r";
  if (kind === "read") return { kind, key };
  if (kind === "write") return { kind, key, value };
  const [expected = "", next = ""] = value.slice(1, -1).split(" ");
  return { kind: "cas", key, expected, value: next };
}

/** Reads a history of a store of texts, one event a line. */
export function readTexts(log: string): Operation<TextInput, string>[] {
  const history: Operation<TextInput, string>[] = [];
  const open = new Map<string, Open<TextInput>>();
  let at = 0;
  for (const line of log.split("\n")) {
    const [, process = "", type, kind, key = "", , value = ""] = TEXT.exec(line.trimEnd()) ?? [];
    if (type === undefined) continue;
    at++;
    const call = open.get(process);
    if (type === "invoke") {
      const isWrite = kind === "put" || kind === "append";
      const input: TextInput = isWrite ? { kind, key, value } : { kind: "get", key };
      open.set(process, { input, calledAt: at });
    } else if (call !== undefined) {
      open.delete(process);
      history.push({ ...call, returnedAt: at, output: value });
    }
  }
  for (const call of open.values())
    history.push({ ...call, returnedAt: undefined, output: undefined });
  return history;
}
