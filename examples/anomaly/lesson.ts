import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Crew, Post } from "./crew.ts";
import { COMMAND, type FleetAgent, until } from "./fleet-agent.ts";

const run = promisify(execFile);
const TASK_FILE = join(import.meta.dirname, "task.yaml");
const MEET_WITHIN_MS = 120_000;
const LEARN_WITHIN_MS = 240_000;
/** Of the agent that comes late, until it counts as one that has taken part. */
const ADDED_UPDATES_MIN = 3;
const TELL_EVERY_MS = 1_000;

/** What an agent tells of the task. */
interface Task {
  readonly task: string;
  readonly state: string;
  readonly round: number;
  readonly samples: number;
  readonly latest?: Round;
}

/** A round, as an agent tells of it. */
export interface Round {
  readonly round: number;
  readonly updates: number;
  readonly modelHash: string;
  readonly tookMs?: number;
  readonly aggregator: { readonly agentId?: string };
  readonly evaluation?: { readonly loss?: number };
}

/** What the fleet learned, and what happened meanwhile. */
export interface Lesson {
  readonly task: string;
  readonly rounds: readonly Round[];
  readonly killed: string;
  readonly killedAfter: number;
  readonly added: string;
  readonly addedAfter: number;
  /** Updates that the agent that came late delivered. */
  readonly addedUpdates: number;
}

/** Waits until all know all: nobody told them. @returns how many milliseconds it took */
export async function meet(crew: Crew): Promise<number> {
  const beganMs = performance.now();
  const wanted = crew.living.length;
  await until(
    "the agents to find each other; is multicast let through on this machine's network?",
    async () => {
      const fleets = await Promise.all(
        crew.living.map(({ agent }) =>
          agent.get<{ counts: { alive: number } }>("/v1/fleet/agents?limit=1"),
        ),
      );
      return fleets.every((fleet) => fleet?.counts.alive === wanted);
    },
    MEET_WITHIN_MS,
  );
  return performance.now() - beganMs;
}

/** Waits until a committee is there. @returns its members' names */
export async function committee(agent: FleetAgent): Promise<readonly string[]> {
  return until(
    "a committee",
    async () => {
      const status = await agent.get<{
        committee?: { members: readonly { agentId?: string }[] };
      }>("/v1/consensus");
      return status?.committee?.members.map(({ agentId }) => agentId ?? "?");
    },
    MEET_WITHIN_MS,
  );
}

/**
 * Gives the fleet the task, kills one agent on the way, adds one, and lets the task rest when that one has taken part.
 * @param rounds at least
 * @param tell what happens, as it does
 */
export async function learn(
  crew: Crew,
  rounds: number,
  tell: (line: string) => void,
): Promise<Lesson> {
  const [first] = crew.posts;
  if (first === undefined) throw new Error("nobody is there");
  const words = ["learn", "start", TASK_FILE, "--json"];
  const { stdout } = await run(COMMAND, [...words, "--data", first.agent.data]);
  const { task } = JSON.parse(stdout) as Task;
  tell(`${first.agent.name} has the task "machine" (${task}); it goes around by itself`);
  const shown = ({ agent }: Post) => agent.get<Task>(`/v1/learning/tasks/${task}`);

  let told = 0;
  let toldAtMs = Number.NEGATIVE_INFINITY;
  /** Tells of rounds until `isOver`. @returns the task as it is then */
  const follow = (
    what: string,
    isOver: (now: Task) => boolean | Promise<boolean>,
  ): Promise<Task & { readonly latest: Round }> =>
    until(
      what,
      async () => {
        const now = await shown(first);
        if (now?.latest === undefined) return undefined;
        const isLast = await isOver(now);
        if (now.round > told && (isLast || performance.now() - toldAtMs >= TELL_EVERY_MS)) {
          told = now.round;
          toldAtMs = performance.now();
          tell(roundLine(now.latest));
        }
        return isLast && { ...now, latest: now.latest };
      },
      LEARN_WITHIN_MS,
    );
  const reach = (round: number) => follow(`round ${round}`, (now) => now.round >= round);

  const early = await reach(Math.ceil(rounds / 4));
  const victim =
    crew.living.find(
      ({ agent }) => agent !== first.agent && agent.name === early.latest.aggregator.agentId,
    ) ?? crew.living.at(-1);
  if (victim === undefined) throw new Error("nobody is left");
  await victim.agent.kill();
  const killedAfter = early.round;
  tell(`${victim.agent.name} is killed with -9 after round ${killedAfter}`);
  const later = await reach(killedAfter + 2);
  const added = await crew.hire();
  tell(`${added.agent.name} starts after round ${later.round}, and nobody tells it of the others`);
  let addedUpdates = 0;
  await follow(`${added.agent.name} to take part`, async ({ round }) => {
    const status = await added.agent.get<{ counters: { updatesSent: number } }>("/v1/learning");
    addedUpdates = status?.counters.updatesSent ?? 0;
    return round >= rounds && addedUpdates >= ADDED_UPDATES_MIN;
  });
  await run(COMMAND, ["learn", "pause", task, "--data", first.agent.data]);
  await until(
    "all to rest, with one model",
    async () => {
      const all = await Promise.all(crew.living.map(shown));
      const hashes = new Set(all.map((each) => each?.latest?.modelHash));
      return hashes.size === 1 && all.every((each) => each?.state === "paused");
    },
    LEARN_WITHIN_MS,
  );
  const roundsPath = `/v1/learning/tasks/${task}/rounds?limit=500`;
  const decided = await first.agent.get<{ items: readonly Round[] }>(roundsPath);
  return {
    task,
    rounds: decided?.items ?? [],
    killed: victim.agent.name,
    killedAfter,
    added: added.agent.name,
    addedAfter: later.round,
    addedUpdates,
  };
}

/** Waits until every agent judges what its sensor says. @returns the model's round at each */
export async function serving(crew: Crew, task: string): Promise<readonly string[]> {
  return until(
    "all to judge their sensors",
    async () => {
      const all = await Promise.all(
        crew.living.map(async ({ agent }) => {
          const path = `/v1/learning/tasks/${task}/serving`;
          const state = await agent.get<{ round?: number; threshold?: number }>(path);
          return state?.threshold === undefined
            ? undefined
            : `${agent.name} by round ${state.round}, above ${state.threshold.toPrecision(3)}`;
        }),
      );
      return all.every((each) => each !== undefined) && all;
    },
    LEARN_WITHIN_MS,
  );
}

function roundLine({ round, updates, aggregator, evaluation }: Round): string {
  const loss = evaluation?.loss === undefined ? "" : `, loss ${evaluation.loss.toPrecision(3)}`;
  return `round ${round}: ${updates} updates, put together by ${aggregator.agentId ?? "?"}${loss}`;
}
