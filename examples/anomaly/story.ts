import { setTimeout as delay } from "node:timers/promises";
import type { Crew, Post } from "./crew.ts";
import { until } from "./fleet-agent.ts";
import { committee, type Lesson, learn, meet, serving } from "./lesson.ts";
import type { ExampleOptions } from "./options.ts";
import { anomalyOn, PageWatcher } from "./page-watcher.ts";
import { PAUSE_MS } from "./replay.ts";
import type { MachineSeries, Stretch } from "./series.ts";
import { type Judged, judge, tableOf } from "./verdict.ts";

/** So much of its machine's life an agent hears before it learns. */
const LISTEN_MS = 9_000;
/** For the last models' trials to end. */
const SETTLE_MS = 4_000;
const FIRST_ANOMALY_WITHIN_MS = 60_000;
/** Of the failures that are labelled. One of the four is hard to see, says the benchmark. */
const FOUND_SHARE_MIN = 0.5;

/** Something that was to be seen. */
export interface Seen {
  readonly what: string;
  readonly ok: boolean;
}

/** Runs the whole example. @param tell what happens, as it does @returns what was seen of what was to be seen */
export async function story(
  crew: Crew,
  directory: string,
  series: MachineSeries,
  options: ExampleOptions,
  tell: (line: string) => void,
): Promise<readonly Seen[]> {
  tell(`${options.agents} agents start, each with a data directory and an MQTT broker of its own`);
  await Promise.all(Array.from({ length: options.agents }, () => crew.hire()));
  for (const { agent } of crew.posts)
    tell(`${agent.name}: process ${agent.pid}, page ${agent.api}, MQTT ${agent.mqtt}`);
  const metMs = await meet(crew);
  tell(`all found each other by mDNS, ${seconds(metMs)} after they were ready`);
  const first = crew.posts[0] as Post;
  const members = await committee(first.agent);
  tell(`${members.join(", ")} are the committee; the machines have an ordinary week`);
  await delay(LISTEN_MS);

  const watcher = options.browser
    ? await PageWatcher.open(directory, options.screenshots)
    : undefined;
  if (watcher !== undefined) crew.admit(watcher);
  const lesson = await learn(crew, options.rounds, tell);
  const served = await serving(crew, lesson.task);
  await delay(SETTLE_MS);
  tell(`all judge their own sensors: ${served.join("; ")}`);
  if (watcher !== undefined) {
    const page = await watcher.look(first.agent);
    tellPicture(await watcher.picture(page, "learned"), tell);
    await page.close();
  }
  const { judged, seen } = await trial(crew, series, watcher, tell);
  process.stdout.write(`\n${roundsTable(lesson)}\n\n${tableOf(judged)}\n\n`);
  return [
    { what: "agents found each other by mDNS", ok: true },
    {
      what: `${lesson.killed} was killed and ${lesson.added} added while they learned; ${lesson.rounds.length} rounds were decided`,
      ok: (lesson.rounds.at(-1)?.round ?? 0) >= options.rounds,
    },
    { what: `${lesson.added} took part`, ok: lesson.addedUpdates > 0 },
    {
      what: `${countFound(judged)} of ${countFailures(judged)} failures were raised on MQTT`,
      ok: countFound(judged) >= FOUND_SHARE_MIN * countFailures(judged),
    },
    ...(watcher === undefined ? [] : [{ what: "an anomaly was seen on a page", ok: seen }]),
  ];
}

/** The machines go through what is labelled, one stretch for each agent. */
async function trial(
  crew: Crew,
  series: MachineSeries,
  watcher: PageWatcher | undefined,
  tell: (line: string) => void,
): Promise<{ judged: readonly Judged[]; seen: boolean }> {
  await crew.endOrdinaryWeeks();
  await delay(PAUSE_MS);
  const tried = crew.living.map((post, at) => {
    const stretch = series.trials[at % series.trials.length] as Stretch;
    tell(`${post.agent.name}'s machine goes through ${stretch.name}`);
    return { post, stretch, before: post.replay.alerts.length };
  });
  const played = Promise.all(tried.map(({ post, stretch }) => post.replay.play(stretch.moments)));
  const looked = watcher === undefined ? Promise.resolve(false) : look(tried, watcher, tell);
  await played;
  await delay(PAUSE_MS);
  const judged = tried.map(({ post: { agent, replay }, stretch, before }) =>
    judge(agent.name, stretch, replay.alerts.slice(before), (ms) => replay.reallyAt(ms)),
  );
  return { judged, seen: await looked };
}

/** Looks at the page of whoever raises an anomaly first. */
async function look(
  tried: readonly { readonly post: Post; readonly before: number }[],
  watcher: PageWatcher,
  tell: (line: string) => void,
): Promise<boolean> {
  try {
    const { agent } = await until(
      "an anomaly on MQTT",
      async () =>
        tried.find(({ post, before }) =>
          post.replay.alerts.slice(before).some(({ state }) => state === "raised"),
        )?.post,
      FIRST_ANOMALY_WITHIN_MS,
    );
    tell(`${agent.name} raised an anomaly on MQTT; its page is opened`);
    const page = await watcher.look(agent);
    const words = (await anomalyOn(page)).replaceAll(/\s+/g, " ");
    tell(`the page says: ${words}`);
    tellPicture(await watcher.picture(page, "anomaly"), tell);
    return true;
  } catch (error) {
    tell(`no anomaly was seen on a page: ${(error as Error).message}`);
    return false;
  }
}

function roundsTable({ rounds, killed, killedAfter, added, ...lesson }: Lesson): string {
  const losses = rounds.flatMap(({ evaluation }) => evaluation?.loss ?? []);
  const updates = rounds.map((round) => round.updates);
  const tookMs = rounds.flatMap((round) => round.tookMs ?? []);
  const mean = tookMs.reduce((sum, ms) => sum + ms, 0) / Math.max(1, tookMs.length);
  return [
    `Rounds decided       ${rounds.length}, of ${Math.min(...updates)} to ${Math.max(...updates)} updates`,
    `Time of a round      ${seconds(mean)} in the mean, ${seconds(Math.max(0, ...tookMs))} at most`,
    `Aggregated by        ${[...new Set(rounds.map(({ aggregator }) => aggregator.agentId))].join(", ")}`,
    `Killed               ${killed} after round ${killedAfter}`,
    `Added                ${added} after round ${lesson.addedAfter}; it delivered ${lesson.addedUpdates} updates`,
    `Loss (held out)      ${losses[0]?.toPrecision(3) ?? "?"} at first, ${losses.at(-1)?.toPrecision(3) ?? "?"} at last`,
  ].join("\n");
}

function countFailures(judged: readonly Judged[]): number {
  return judged.reduce((sum, { stretch }) => sum + stretch.failures.length, 0);
}

function countFound(judged: readonly Judged[]): number {
  return judged.flatMap(({ found }) => found).filter((anomaly) => anomaly !== undefined).length;
}

function tellPicture(path: string | undefined, tell: (line: string) => void): void {
  if (path !== undefined) tell(`picture: ${path}`);
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
