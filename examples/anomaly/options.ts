import { parseArgs } from "node:util";

/** Fewer can not lose one and still agree: a committee of raft wants three. */
const AGENTS_MIN = 4;
/** Each is a process with 100 MB of memory. */
const AGENTS_MAX = 12;

export const HELP = `Usage: npm run example:anomaly -- [options]

Starts agents in separate processes on this machine, which find each other by mDNS. Each hears a machine's temperature
on MQTT, replayed quickly; together they learn what is normal, while one of them is killed and one is added. Then
the machines fail, and the agents raise anomalies: on MQTT, and on their pages.

Options:
  --agents N         agents at the beginning, ${AGENTS_MIN} to ${AGENTS_MAX} (default ${AGENTS_MIN})
  --rounds N         rounds of learning at least, 10 to 200 (default 20)
  --keep-running     leaves the agents running at the end, until Ctrl-C
  --screenshots DIR  puts pictures of the pages there
  --no-browser       does not look at the pages
  -h, --help         shows this

The series is the machine temperature of the Numenta Anomaly Benchmark (MIT licence): from a checkout that the
variable NAB names, or fetched from GitHub. Where neither is to be had, a series is made up, and the example says so.
CHROMIUM_PATH names a browser other than /usr/bin/chromium.

Exit code: 0 when all of it was seen, 1 when something was not, 2 for a wrong option.
`;

/** What the example was asked to do. */
export interface ExampleOptions {
  readonly agents: number;
  readonly rounds: number;
  readonly keepRunning: boolean;
  readonly screenshots: string | undefined;
  readonly browser: boolean;
}

/** @returns `help`, or why the words can not be understood */
export function readOptions(words: readonly string[]): ExampleOptions | string {
  try {
    const { values } = parseArgs({
      args: [...words],
      options: {
        agents: { type: "string", default: String(AGENTS_MIN) },
        rounds: { type: "string", default: "20" },
        "keep-running": { type: "boolean", default: false },
        screenshots: { type: "string" },
        "no-browser": { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) return "help";
    return {
      agents: whole("--agents", values.agents, AGENTS_MIN, AGENTS_MAX),
      rounds: whole("--rounds", values.rounds, 10, 200),
      keepRunning: values["keep-running"],
      screenshots: values.screenshots,
      browser: !values["no-browser"],
    };
  } catch (error) {
    return (error as Error).message;
  }
}

function whole(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most)
    throw new Error(`${option} ${text}: give a whole number from ${least} to ${most}`);
  return value;
}
