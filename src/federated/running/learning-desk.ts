import type { PeerId } from "../../platform/signer.ts";
import { layOut } from "../../platform/training-layout.ts";
import { type RoundRecord, readRecord } from "../rounds/round-record.ts";
import type { RoundsTalk } from "../rounds/talk.ts";
import { type Control, signControl, type TaskState } from "../tasks/control.ts";
import { type KnownTask, type Statement, stateOf } from "../tasks/known-task.ts";
import { LearningError } from "../tasks/learning-error.ts";
import { signManifest } from "../tasks/manifest.ts";
import { completeSpec, type TaskSpec } from "../tasks/task-spec.ts";
import type {
  LearningCounters,
  LearningRound,
  LearningStatus,
  LearningTask,
  LearningView,
} from "../view.ts";
import { firstWeights } from "./first-weights.ts";
import type { HeardRound } from "./heard-rounds.ts";
import type { JoinedTask } from "./joined-task.ts";
import { JoinedTasks } from "./joined-tasks.ts";
import type { LearningDeskParts } from "./learning-desk-parts.ts";
import type { LearningPrograms } from "./learning-programs.ts";
import type { RoundEvent } from "./round-parts.ts";
import type { ServingDesk } from "./serving-desk.ts";

/** Values of one request to run a model. */
const PREDICT_VALUES_MAX = 1_000_000;

/** Learning for REST, CLI, page and metrics: joins every task that runs, and shows how far each is. */
export class LearningDesk implements LearningView {
  readonly #parts: LearningDeskParts;
  readonly #tasks: JoinedTasks;
  readonly #counters = {
    rounds: 0,
    updatesSent: 0,
    aggregations: 0,
    accepted: 0,
    rejected: 0,
    trainingFailures: 0,
  };
  readonly #evidence: Record<string, number> = {};

  constructor(parts: LearningDeskParts) {
    this.#parts = parts;
    this.#tasks = new JoinedTasks({
      ...parts,
      recordIn: (decision) => this.#recordIn(decision),
      onJoined: (joined, known) => this.#catchUp(joined, known),
      onEvent: (known, event) => this.#onEvent(known, event),
    });
  }

  /** What programs of this process bring along. */
  get programs(): LearningPrograms {
    return this.#tasks.programs;
  }

  get serving(): ServingDesk {
    return this.#tasks.serving;
  }

  /** Joins what the last run left. @throws StoreError */
  open(): Promise<void> {
    return this.#tasks.open();
  }

  close(): Promise<void> {
    return this.#tasks.close();
  }

  /** Something is known of a task that was not. */
  heard(known: KnownTask, news: Statement): void {
    const { events } = this.#parts;
    const { task, spec, author } = known.manifest;
    if (news.manifest !== undefined)
      events.emit("learning.task-known", { task, name: spec.name, peerId: author });
    if (news.control !== undefined)
      events.emit("learning.task-state", { task, name: spec.name, state: stateOf(known) });
    if (news.head !== undefined) {
      const record = this.#recordIn(news.head);
      if (record !== undefined) this.#decided(known, record, news.head);
    }
    this.#tasks.join(known);
  }

  /** A member put its certificate under a record here. */
  certified(record: RoundRecord, bytes: Uint8Array): void {
    const taken = this.#parts.book.take({ task: record.task, head: bytes });
    if (taken.kind !== "news") return;
    this.heard(taken.task, taken.news);
    this.#parts.announce(taken.news);
  }

  /** Somebody said something about rounds. @returns false for what is about no task that is known */
  hear(from: PeerId, talk: RoundsTalk): void {
    switch (talk.kind) {
      case "begun":
        this.#tasks.get(talk.task)?.hear(from, talk);
        break;
      case "word":
        this.#tasks.get(talk.word.task)?.hear(from, talk);
        break;
      case "evidence":
        this.#tasks.get(talk.evidence.first.task)?.hear(from, talk);
        break;
      case "head": {
        const taken = this.#parts.book.take({ task: talk.task, head: talk.decision });
        if (taken.kind === "news") this.heard(taken.task, taken.news);
        break;
      }
      case "wanted":
      case "submit":
        // Heads go about with the tasks, and records are put before the committee by itself.
        break;
      default:
        talk satisfies never;
    }
  }

  /** A record was accepted, as this member has seen itself; its certificate may follow. */
  accepted(record: RoundRecord): void {
    const known = this.#parts.book.get(record.task);
    if (known !== undefined) this.#decided(known, record, undefined);
  }

  /** A record is before the committee. */
  proposed(id: string, value: Uint8Array, proposer: PeerId): void {
    const record = readRecord(this.#parts.signer, value);
    if (typeof record === "string") {
      this.#parts.committee.vote(id, { reject: `the record is ${record}` });
      return;
    }
    const joined = this.#tasks.get(record.task);
    if (joined !== undefined) joined.proposed(id, value, proposer);
  }

  /** It is not any more. */
  ended(id: string, value: Uint8Array, accepted: boolean): void {
    const record = readRecord(this.#parts.signer, value);
    if (typeof record === "string") return;
    this.#counters[accepted ? "accepted" : "rejected"]++;
    this.#tasks.get(record.task)?.ended(id, accepted);
    if (accepted) this.accepted(record);
  }

  /** It is not any more, and how it ended is not known here; a head that comes of it gets here in other ways. */
  withdrawn(id: string, value: Uint8Array): void {
    const record = readRecord(this.#parts.signer, value);
    if (typeof record !== "string") this.#tasks.get(record.task)?.ended(id, false);
  }

  /** Another committee, or another member of it, is known now. */
  committeeChanged(): void {
    for (const taken of this.#parts.book.judgeAgain()) {
      if (taken.kind === "news") this.heard(taken.task, taken.news);
    }
    // What is certain now without any news.
    for (const known of this.#parts.book.all()) this.#tasks.join(known);
    this.rolesChanged();
  }

  /** Who has which role, who decides, and who is there may be others than before. */
  rolesChanged(): void {
    const roles = this.#parts.roles();
    for (const joined of this.#tasks.all()) {
      joined.roles(roles);
      joined.committee();
    }
  }

  living(peer: PeerId, alive: boolean): void {
    for (const joined of this.#tasks.all()) joined.living(peer, alive);
  }

  /** Whether power and budget allow to train. */
  mayTrain(allowed: boolean): void {
    if (this.#tasks.mayTrain(allowed))
      this.#parts.events.emit(allowed ? "learning.resumed" : "learning.held", {});
  }

  status(): LearningStatus {
    const tasks = { running: 0, paused: 0, stopped: 0, finished: 0 };
    for (const known of this.#parts.book.all()) tasks[shownState(known)]++;
    return {
      enabled: true,
      tasks,
      datasets: [...this.#parts.datasets, ...this.#tasks.programs.datasets],
      counters: this.#totals(),
    };
  }

  tasks(): readonly LearningTask[] {
    return Array.from(this.#parts.book.all(), (known) => this.#show(known)).reverse();
  }

  task(id: string): LearningTask | undefined {
    const known = this.#parts.book.get(id);
    return known && this.#show(known);
  }

  rounds(id: string, after: number, limit: number): readonly LearningRound[] | undefined {
    if (this.#parts.book.get(id) === undefined) return undefined;
    return (
      this.#tasks
        .get(id)
        ?.rounds(after, limit)
        .map((round) => this.#showRound(round)) ?? []
    );
  }

  async start(document: unknown): Promise<LearningTask> {
    const { book, clock, shelf, announce } = this.#parts;
    const spec = await this.#tasks.complete(completeSpec(document));
    const firstModelHash = shelf.put(firstWeights(spec));
    const content = { spec, createdAtMs: clock.wallMs(), firstModelHash };
    const manifest = signManifest(this.#parts, content);
    const taken = book.take({ task: manifest.task, manifest: manifest.proof });
    if (taken.kind === "full")
      throw new LearningError("learning.full", "too many tasks are known; stop one first");
    if (taken.kind !== "news")
      throw new LearningError("learning.busy", "this very task was started a moment ago");
    await book.written();
    this.heard(taken.task, taken.news);
    announce(taken.news);
    return this.#show(taken.task);
  }

  async control(id: string, state: TaskState): Promise<LearningTask> {
    const { book, signer, announce } = this.#parts;
    const known = book.get(id);
    if (known === undefined)
      throw new LearningError("learning.unknown-task", `no task ${id} is known here`);
    const { author } = known.manifest;
    if (author !== signer.peerId) {
      const { agentId = author } = this.#parts.nameOf(author);
      throw new LearningError(
        "learning.not-the-author",
        `only ${agentId}, which started the task, can do that`,
      );
    }
    if (stateOf(known) === "stopped" && state !== "stopped")
      throw new LearningError(
        "learning.ended",
        "a task that was stopped stays so; start a new one",
      );
    if (stateOf(known) === state) return this.#show(known);
    const serial = (known.control?.serial ?? 0) + 1;
    const control: Control = signControl(signer, { task: id, serial, state });
    const taken = book.take({ task: id, control: control.proof });
    await book.written();
    if (taken.kind === "news") {
      this.heard(taken.task, taken.news);
      announce(taken.news);
    }
    return this.#show(book.get(id) ?? known);
  }

  async predict(id: string, features: readonly (readonly number[])[], model?: "own" | "global") {
    const known = this.#parts.book.get(id);
    if (known === undefined)
      throw new LearningError("learning.unknown-task", `no task ${id} is known here`);
    const { inputSize, outputSize } = layOut(known.manifest.spec.model);
    const wrong = features.findIndex((each) => each.length !== inputSize);
    if (wrong !== -1)
      throw new LearningError(
        "learning.spec",
        `features ${wrong} has ${features[wrong]?.length} values, the model takes ${inputSize}`,
      );
    if (features.length * inputSize > PREDICT_VALUES_MAX)
      throw new LearningError("learning.spec", `${PREDICT_VALUES_MAX} values at most`);
    const values = Float32Array.from(features.flat());
    const predicted = await this.#tasks.get(id)?.predict(values, features.length, model);
    if (predicted === undefined)
      throw new LearningError("learning.no-model", whyNoModel(known.manifest.spec, model));
    const { outputs, ...by } = predicted;
    return {
      ...by,
      outputs: features.map((_, at) =>
        Array.from(outputs.subarray(at * outputSize, (at + 1) * outputSize)),
      ),
    };
  }

  /** What was decided while it was opened, and what this agent's seat has seen: first what ended, then what is open. */
  #catchUp(joined: JoinedTask, known: KnownTask): void {
    const { committee, signer } = this.#parts;
    const { task } = known.manifest;
    if (known.head !== undefined && known.head.round > joined.head.round)
      this.heard(known, { task, head: known.head.bytes });
    for (const value of committee.accepted()) {
      const record = readRecord(signer, value);
      if (typeof record !== "string" && record.task === task)
        this.#decided(known, record, undefined);
    }
    for (const { id, value, proposer } of committee.open()) {
      const record = readRecord(signer, value);
      if (typeof record !== "string" && record.task === task) joined.proposed(id, value, proposer);
    }
  }

  /** @returns what a certified decision says; undefined where it is none on a round */
  #recordIn(decision: Uint8Array): RoundRecord | undefined {
    const value = this.#parts.readDecision(decision);
    const record = value && readRecord(this.#parts.signer, value);
    return typeof record === "string" ? undefined : record;
  }

  #decided(known: KnownTask, record: RoundRecord, bytes: Uint8Array | undefined): void {
    const { task, spec } = known.manifest;
    const joined = this.#tasks.get(task);
    if (joined?.decided(record, bytes) !== true) return;
    this.#counters.rounds++;
    const { round, updates, samples, modelHash } = record;
    this.#parts.events.emit("learning.round", {
      task,
      name: spec.name,
      round,
      rounds: spec.rounds,
      updates,
      samples,
      modelHash,
    });
  }

  #onEvent({ manifest: { task } }: KnownTask, { by, event }: RoundEvent): void {
    const { logger, events } = this.#parts;
    if (event.kind === "delivered" && by === "trainer") this.#counters.updatesSent++;
    if (event.kind === "closed") this.#counters.aggregations++;
    if (event.kind === "failed") {
      this.#counters.trainingFailures++;
      if (event.givenUp) events.emit("learning.failed", { task, reason: event.reason });
    }
    if (event.kind === "blamed") {
      const { peer, misdeed, round } = event;
      this.#evidence[misdeed] = (this.#evidence[misdeed] ?? 0) + 1;
      events.emit("learning.evidence", { task, round, peerId: peer, misdeed });
    }
    logger.debug("learning", { task, by, ...event });
  }

  #totals(): LearningCounters {
    const { sentBytes, receivedBytes } = this.#parts.exchange.counters();
    return { ...this.#counters, sentBytes, receivedBytes, evidence: { ...this.#evidence } };
  }

  #show(known: KnownTask): LearningTask {
    const { task, spec, author, createdAtMs } = known.manifest;
    const joined = this.#tasks.get(task);
    const { activity, because } = joined?.activity() ?? { activity: "following" as const };
    const { progress, latest, network } = joined ?? {};
    return {
      task,
      spec,
      author: this.#parts.nameOf(author),
      createdAtMs,
      state: shownState(known),
      round: known.head?.round ?? 0,
      activity,
      ...(because !== undefined && { because }),
      ...(progress !== undefined && { progress }),
      samples: joined?.samples ?? 0,
      ...(network !== undefined && { network }),
      ...(latest !== undefined && { latest: this.#showRound(latest) }),
    };
  }

  #showRound({ aggregator, ...rest }: HeardRound): LearningRound {
    return { ...rest, aggregator: this.#parts.nameOf(aggregator) };
  }
}

/** @returns in words why a model can not be run here */
function whyNoModel({ teaching }: TaskSpec, asked: "own" | "global" | undefined): string {
  if (asked === "own")
    return "this agent has no model of its own for the task: see its personalization, and whether it trains";
  return asked === "global" && teaching !== undefined
    ? "with teaching there is no global model, each agent has its own: ask for that one"
    : "the model can not be run here: see the task";
}

/** @returns whether it goes on, as people see it */
function shownState(known: KnownTask): TaskState | "finished" {
  const isDone = (known.head?.round ?? 0) >= known.manifest.spec.rounds;
  return isDone && stateOf(known) !== "stopped" ? "finished" : stateOf(known);
}
