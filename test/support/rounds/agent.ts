import { RoundAggregator } from "../../../src/federated/rounds/aggregator.ts";
import type {
  AggregatorEffect,
  AggregatorInput,
} from "../../../src/federated/rounds/aggregator-effects.ts";
import { firstHead, RoundChain, type RoundHead } from "../../../src/federated/rounds/chain.ts";
import { RoundJudge } from "../../../src/federated/rounds/judge.ts";
import type { JudgeEffect, JudgeInput } from "../../../src/federated/rounds/judge-effects.ts";
import { rank } from "../../../src/federated/rounds/rank.ts";
import { Reputation } from "../../../src/federated/rounds/reputation.ts";
import { readRecord } from "../../../src/federated/rounds/round-record.ts";
import type { Counted, FetchEffect, HoldEffect } from "../../../src/federated/rounds/step.ts";
import { decodeTalk, encodeTalk, type RoundsTalk } from "../../../src/federated/rounds/talk.ts";
import { RoundTrainer } from "../../../src/federated/rounds/trainer.ts";
import type { TrainerEffect, TrainerInput } from "../../../src/federated/rounds/trainer-effects.ts";
import { signWord, type TrainerWord } from "../../../src/federated/rounds/trainer-word.ts";
import type { Signer } from "../../../src/platform/signer.ts";
import { Violation } from "./ledger.ts";
import { lieAbout } from "./lies.ts";
import type { AgentPlan, PlantedBug, Stage } from "./plan.ts";
import { Seat } from "./seat.ts";
import { FIRST_MODEL, lookAt, putTogether, updateOf } from "./toy-model.ts";
import { wordsFor } from "./trace-words.ts";

type Machine = "trainer" | "aggregator" | "judge";
type Untimed<Input> = Input extends { nowMs: number } ? Omit<Input, "nowMs"> : never;

/** How the agents of a world find each other. */
export interface Neighbours {
  all(): readonly RoundsAgent[];
  of(peer: string): RoundsAgent | undefined;
}

interface Training {
  readonly isAlone: boolean;
  readonly base: { readonly baseRound: number; readonly baseHash: string };
  remainingMs: number;
  /** When it goes on, undefined while it is paused. */
  sinceMs: number | undefined;
}

/** One agent of a world: it performs what its machines want, lies as planned, and loses its memory when it is killed. */
export class RoundsAgent {
  readonly plan: AgentPlan;
  readonly signer: Signer;
  readonly seat: Seat | undefined;
  isUp = false;
  readonly #stage: Stage;
  readonly #neighbours: Neighbours;
  /** What it has, by hash. */
  readonly #shelf = new Set<string>();
  readonly #held = new Map<Machine, readonly string[]>();
  /** On disk. */
  #keptWord: TrainerWord | undefined;
  readonly #durable = new Map<Machine, readonly string[]>();
  readonly #models = new Set<string>();
  #head: RoundHead;
  #value: Uint8Array | undefined;
  #before: { readonly head: RoundHead; readonly value: Uint8Array | undefined };
  /** In memory. */
  #boot = 0;
  #mayTrain = true;
  #chain: RoundChain;
  #trainer: RoundTrainer | undefined;
  #aggregator: RoundAggregator | undefined;
  #judge: RoundJudge | undefined;
  readonly #dueAtMs = new Map<Machine, number>();
  #training: Training | undefined;
  readonly #proposals = new Map<string, number>();

  constructor(stage: Stage, plan: AgentPlan, signer: Signer, neighbours: Neighbours) {
    this.#stage = stage;
    this.plan = plan;
    this.signer = signer;
    this.#neighbours = neighbours;
    this.#head = firstHead(stage.hasher.sha256Hex(FIRST_MODEL));
    this.#before = { head: this.#head, value: undefined };
    this.#chain = new RoundChain(stage.task, this.#head);
    this.#shelf.add(this.#head.modelHash);
    this.#models.add(this.#head.modelHash);
    if (stage.committee.members.includes(this.peer))
      this.seat = new Seat(stage, signer, plan.memberLie, {
        proposal: ({ id, value, proposer }) =>
          this.#toJudge({ kind: "proposal", id, value, proposer }),
        ended: ({ id, outcome, reasons }) => {
          this.#toJudge({ kind: "ended", id, accepted: outcome === "accepted" });
          const attempt = this.#proposals.get(id);
          this.#proposals.delete(id);
          if (attempt !== undefined)
            this.#toAggregator({ kind: "proposal-ended", attempt, outcome, reasons });
        },
        decided: (value) => this.#decided(value, true),
      });
  }

  get peer(): string {
    return this.signer.peerId;
  }

  get round(): number {
    return this.#chain.head.round;
  }

  /** Begins, or begins anew with what is on disk. */
  start(): void {
    const { task, pace, times, hasher, ether, bugs, committee } = this.#stage;
    this.isUp = true;
    this.#boot++;
    const { signer } = this;
    const [head, startMs] = [this.#head, ether.nowMs];
    const reputation = new Reputation();
    this.#chain = new RoundChain(task, head);
    const word = bugs.has("forgets-its-word") ? undefined : this.#keptWord;
    const kept = word && { word, held: this.#shelf.has(word.updateHash) };
    const sheets = new Map(
      [...this.#shelf].flatMap((hash) => {
        const content = this.#stage.contents.get(hash);
        return content instanceof Uint8Array ? [[hash, content] as const] : [];
      }),
    );
    const parts = { task, signer, hasher, pace, times, reputation };
    if (this.plan.trains) this.#trainer = new RoundTrainer({ ...parts, ...(kept && { kept }) });
    this.#aggregator = new RoundAggregator({ ...parts, head, sheets, startMs });
    if (this.seat !== undefined && this.plan.memberLie === undefined)
      this.#judge = new RoundJudge({ ...parts, head, sheets });
    const aggregators = this.#neighbours.all().filter(({ plan }) => plan.aggregates);
    const trainers = this.#neighbours.all().filter(({ plan }) => plan.trains);
    const peers = aggregators.map(({ peer }) => peer);
    const { members, quorum } = committee;
    for (const input of [
      { kind: "aggregators", peers },
      { kind: "trainers", peers: trainers.map(({ peer }) => peer) },
    ] as const) {
      this.#toTrainer(input);
      this.#toAggregator(input);
    }
    this.#toAggregator({ kind: "committee", members });
    this.#toJudge({ kind: "committee", members, quorum });
    this.#toTrainer({ kind: "head", head });
    this.#toTrainer({ kind: "may-train", allowed: this.#mayTrain });
    this.seat?.retell();
    this.#hello(this.#boot);
  }

  /** Loses what is in memory, and perhaps the last head that was not on disk yet. */
  crash(): void {
    const { ether } = this.#stage;
    this.isUp = false;
    this.#trainer = undefined;
    this.#aggregator = undefined;
    this.#judge = undefined;
    this.#training = undefined;
    this.#held.clear();
    this.#dueAtMs.clear();
    this.#proposals.clear();
    const durable = new Set([...this.#models, ...[...this.#durable.values()].flat()]);
    for (const hash of this.#shelf) if (!durable.has(hash)) this.#shelf.delete(hash);
    if (!ether.chance(0.5)) return;
    this.#head = this.#before.head;
    this.#value = this.#before.value;
  }

  setMayTrain(allowed: boolean): void {
    this.#mayTrain = allowed;
    this.#toTrainer({ kind: "may-train", allowed });
  }

  /** Somebody is gone, or is back. */
  living(peer: string, alive: boolean): void {
    this.#toAggregator({ kind: "living", peer, alive });
    this.#toJudge({ kind: "living", peer, alive });
    if (alive) this.#toTrainer({ kind: "returned", peer });
  }

  serves(hash: string): boolean {
    if (!this.isUp || !this.#shelf.has(hash)) return false;
    const isOwn = String(this.#stage.contents.get(hash)).includes(`"trainer":"${this.plan.name}"`);
    if (isOwn) return this.plan.trainerLie !== "silent";
    return this.plan.aggregatorLie !== "withhold" || this.#isModel(hash);
  }

  receive(from: RoundsAgent, bytes: Uint8Array): void {
    const talk = decodeTalk(this.signer, bytes);
    if (talk === undefined) throw new Violation("an agent could not read what another said");
    const { task } = this.#stage;
    switch (talk.kind) {
      case "begun": {
        const { baseRound, baseHash } = talk;
        this.#toAggregator({ kind: "begun", from: from.peer, base: { baseRound, baseHash } });
        this.#answer(from, "begun", baseRound);
        break;
      }
      case "word":
        this.#toAggregator({ kind: "word", word: talk.word });
        this.#answer(from, "word", talk.word.baseRound);
        break;
      case "head":
        this.#decided(talk.decision, false);
        break;
      case "wanted":
        if (this.#value !== undefined)
          this.#send(from, { kind: "head", task, round: this.round, decision: this.#value });
        break;
      case "submit": {
        const record = readRecord(this.signer, talk.record);
        if (typeof record === "string" || record.aggregator !== from.peer) break;
        if (this.seat?.isOpen(talk.record) === false) this.seat.propose(talk.record);
        break;
      }
      case "evidence":
        this.#toAggregator({ kind: "evidence", evidence: talk.evidence });
        break;
      default:
        talk satisfies never;
    }
  }

  /** Asks somebody for the newest head, now and then. */
  #hello(boot: number): void {
    const { ether, task } = this.#stage;
    ether.after(ether.between(150, 300), () => {
      if (this.#boot !== boot || !this.isUp) return;
      const other = ether.pick(this.#neighbours.all());
      if (other !== this) this.#send(other, { kind: "wanted", tasks: [task] });
      this.#hello(boot);
    });
  }

  #answer(to: RoundsAgent, what: "begun" | "word", baseRound: number): void {
    this.#later(() => to.#toTrainer({ kind: "told", to: this.peer, what, baseRound }), to);
  }

  #send(to: RoundsAgent, talk: RoundsTalk): void {
    const words = wordsFor(talk, this.#stage);
    if (words !== undefined) this.#trace(`→ ${to.plan.name}  ${words}`);
    const bytes = encodeTalk(talk);
    this.#later(() => to.receive(this, bytes), to);
  }

  #later(run: () => void, to: RoundsAgent): void {
    const { ether } = this.#stage;
    if (to === this) {
      ether.after(0, () => {
        if (this.isUp) run();
      });
      return;
    }
    if (ether.chance(ether.loss)) return;
    for (let copies = ether.chance(ether.loss / 4) ? 2 : 1; copies > 0; copies--)
      ether.after(ether.between(1, 40), () => {
        if (to.isUp && !ether.isCut(this.peer, to.peer)) run();
      });
  }

  #decided(value: Uint8Array, gossip: boolean): void {
    const record = readRecord(this.signer, value);
    if (typeof record === "string") throw new Violation("what was decided can not be read");
    const decided = this.#stage.ledger.values[record.round - 1];
    if (decided === undefined || !Buffer.from(decided).equals(value))
      throw new Violation("an agent goes by what nobody has decided");
    if (!this.#neighbours.all().some((agent) => agent.#models.has(record.modelHash)))
      throw new Violation(`the model of round ${record.round} is on no disk`);
    if (record.task !== this.#stage.task || !this.isUp) return;
    const before = this.#chain.head.round;
    const taken = this.#chain.take(record);
    if (taken.kind === "fault")
      throw new Violation(`what was decided does not follow: ${taken.fault}`);
    if (taken.kind === "old") return;
    const { head } = taken;
    if (head.round <= before) throw new Violation("a head went back");
    this.#before = { head: this.#head, value: this.#value };
    this.#head = head;
    this.#value = value;
    this.#trace(`knows round ${head.round}`);
    this.#toTrainer({ kind: "head", head });
    this.#toAggregator({ kind: "head", head });
    this.#toJudge({ kind: "head", head });
    if (!gossip) return;
    const { task } = this.#stage;
    for (const other of this.#neighbours.all())
      if (other !== this)
        this.#send(other, { kind: "head", task, round: head.round, decision: value });
  }

  #toTrainer(input: Untimed<TrainerInput>): void {
    const { nowMs } = this.#stage.ether;
    const step = this.#trainer?.step({ ...input, nowMs });
    if (step === undefined) return;
    for (const effect of step.effects) this.#doTrainer(effect);
    this.#arm("trainer", step.nextTickAtMs);
  }

  #toAggregator(input: Untimed<AggregatorInput>): void {
    const { nowMs } = this.#stage.ether;
    const step = this.#aggregator?.step({ ...input, nowMs });
    if (step === undefined) return;
    for (const effect of step.effects) this.#doAggregator(effect);
    this.#arm("aggregator", step.nextTickAtMs);
  }

  #toJudge(input: Untimed<JudgeInput>): void {
    const { nowMs } = this.#stage.ether;
    const step = this.#judge?.step({ ...input, nowMs });
    if (step === undefined) return;
    for (const effect of step.effects) this.#doJudge(effect);
    this.#arm("judge", step.nextTickAtMs);
  }

  #arm(machine: Machine, atMs: number): void {
    const { ether } = this.#stage;
    // Whoever asks for it is asked again at once, for ever.
    if (atMs <= this.#stage.ether.nowMs)
      throw new Violation(`the ${machine} asks for a moment that has passed`);
    if (this.#dueAtMs.get(machine) === atMs) return;
    this.#dueAtMs.set(machine, atMs);
    if (!Number.isFinite(atMs)) return;
    const boot = this.#boot;
    ether.after(Math.max(1, atMs - ether.nowMs), () => {
      if (boot !== this.#boot || !this.isUp || this.#dueAtMs.get(machine) !== atMs) return;
      this.#dueAtMs.delete(machine);
      if (machine === "trainer") this.#toTrainer({ kind: "tick" });
      else if (machine === "aggregator") this.#toAggregator({ kind: "tick" });
      else this.#toJudge({ kind: "tick" });
    });
  }

  /** As long as this process lives. */
  #soon(delayMs: number, run: () => void): void {
    const boot = this.#boot;
    this.#stage.ether.after(delayMs, () => {
      if (boot === this.#boot && this.isUp) run();
    });
  }

  #doTrainer(effect: TrainerEffect): void {
    const { ether, ledger } = this.#stage;
    switch (effect.kind) {
      case "fetch-base": {
        const { base } = effect;
        this.#fetch(base.baseHash, this.#everybody(effect.aggregator), (had) =>
          this.#toTrainer({ kind: "base", base, had }),
        );
        break;
      }
      case "train":
      case "train-alone":
        this.#training = {
          base: effect.base,
          isAlone: effect.kind === "train-alone",
          remainingMs: this.plan.trainMs,
          sinceMs: undefined,
        };
        this.#goOn();
        break;
      case "pause":
        if (this.#training?.sinceMs !== undefined) {
          this.#training.remainingMs -= ether.nowMs - this.#training.sinceMs;
          this.#training.sinceMs = undefined;
        }
        break;
      case "resume":
        this.#goOn();
        break;
      case "abandon":
        this.#training = undefined;
        break;
      case "keep": {
        const { word } = effect;
        this.#trace(`writes to disk: its word on round ${word.baseRound}`);
        const done = (): void => {
          this.#keptWord = word;
        };
        const said = (durable: boolean): void =>
          this.#toTrainer({ kind: "kept", updateHash: word.updateHash, durable });
        this.#write("tells-too-soon", done, said);
        break;
      }
      case "tell": {
        const to = this.#neighbours.of(effect.to);
        const { talk } = effect;
        if (talk.kind === "word" && this.plan.trainerLie === undefined) ledger.said(talk.word);
        if (to !== undefined) this.#send(to, talk.kind === "word" ? this.#bend(talk, to) : talk);
        break;
      }
      case "hold":
        this.#hold("trainer", effect);
        break;
      case "event":
        break;
      default:
        effect satisfies never;
    }
  }

  /** @param tooSoon planted: it says that the disk has it, and only then writes @param said hears whether it is on disk */
  #write(tooSoon: PlantedBug, done: () => void, said: (durable: boolean) => void): void {
    const { ether, bugs } = this.#stage;
    if (bugs.has(tooSoon)) {
      this.#soon(0, () => said(true));
      this.#soon(ether.between(20, 200), done);
    } else if (ether.chance(ether.loss / 4)) this.#soon(5, () => said(false));
    else
      this.#soon(ether.between(2, 10), () => {
        done();
        said(true);
      });
  }

  #goOn(): void {
    const training = this.#training;
    if (training === undefined) return;
    const sinceMs = this.#stage.ether.nowMs;
    training.sinceMs = sinceMs;
    this.#soon(training.remainingMs, () => {
      if (this.#training !== training || training.sinceMs !== sinceMs) return;
      this.#training = undefined;
      if (training.isAlone) this.#toTrainer({ kind: "trained-alone", base: training.base });
      else this.#trained(training.base);
    });
  }

  #trained(base: Training["base"]): void {
    const { contents } = this.#stage;
    const { name, trainerLie, forgetful } = this.plan;
    const honest = updateOf(name, base, forgetful ? this.#boot : 0);
    const [stolen] = [...contents].flatMap(([hash, content]) =>
      typeof content === "string" &&
      content.includes(base.baseHash) &&
      !content.includes(`"trainer":"${name}"`)
        ? [hash]
        : [],
    );
    let updateHash = this.#put(honest);
    if (trainerLie === "copy" && stolen !== undefined) {
      updateHash = stolen;
      this.#shelf.add(stolen);
    }
    if (trainerLie === "nothing") updateHash = this.#put(`nothing ${name} ${base.baseHash}`);
    if (trainerLie === "malformed") updateHash = this.#put(`garbage ${name} ${base.baseHash}`);
    const updateBytes = String(contents.get(updateHash)).length;
    this.#trace(`has trained on round ${base.baseRound}`);
    this.#toTrainer({ kind: "trained", base, updateHash, updateBytes, samples: 10, loss: 0.5 });
  }

  /** Says something else to every other candidate, where it lies so. */
  #bend(talk: Extract<RoundsTalk, { kind: "word" }>, to: RoundsAgent): RoundsTalk {
    const { trainerLie, name } = this.plan;
    if (trainerLie !== "two-words" || to.peer.charCodeAt(20) % 2 === 0) return talk;
    const { signed: _, trainer: __, ...content } = talk.word;
    const updateHash = this.#put(updateOf(name, content, 99));
    return { kind: "word", word: signWord(this.signer, { ...content, updateHash }) };
  }

  #doAggregator(effect: AggregatorEffect): void {
    const { ether, task, bugs, committee } = this.#stage;
    switch (effect.kind) {
      case "fetch":
        this.#fetchFor("aggregator", effect);
        break;
      case "hold":
        this.#hold("aggregator", effect);
        break;
      case "aggregate": {
        const { attempt, round, head, counted } = effect;
        const order = rank(this.#stage.hasher, { task, round }, this.#aggregators());
        if (bugs.has("no-takeover") && order[0] !== this.peer) break;
        this.#putTogether(round, head, counted, (modelHash) =>
          this.#toAggregator({ kind: "aggregated", attempt, modelHash, stateHash: undefined }),
        );
        break;
      }
      case "store":
        this.#put(effect.bytes);
        break;
      case "propose": {
        const { attempt } = effect;
        const value = this.#lied(effect.value);
        this.#trace(`proposes round ${this.round + 1}`);
        this.#soon(ether.between(1, 15), () => {
          const id = this.seat?.propose(value);
          if (id !== undefined) this.#proposals.set(id, attempt);
          else
            this.#toAggregator({ kind: "proposal-ended", attempt, outcome: "failed", reasons: [] });
        });
        break;
      }
      case "submit": {
        const to = this.#neighbours.of(effect.to);
        if (!committee.members.includes(effect.to)) throw new Violation("not to a member");
        if (to !== undefined) this.#send(to, { kind: "submit", record: this.#lied(effect.value) });
        break;
      }
      case "send-head": {
        const to = this.#neighbours.of(effect.to);
        if (to !== undefined && this.#value !== undefined)
          this.#send(to, { kind: "head", task, round: this.round, decision: this.#value });
        break;
      }
      case "gossip":
        for (const other of this.#neighbours.all())
          if (other !== this) this.#send(other, { kind: "evidence", evidence: effect.evidence });
        break;
      case "event":
        if (effect.event.kind === "taken-over")
          this.#trace(`takes round ${effect.event.round} over`);
        if (effect.event.kind === "closed")
          this.#trace(`closes round ${effect.event.round} with ${effect.event.updates} updates`);
        break;
      default:
        effect satisfies never;
    }
  }

  #doJudge(effect: JudgeEffect): void {
    switch (effect.kind) {
      case "fetch":
        this.#fetchFor("judge", effect);
        break;
      case "hold":
        this.#hold("judge", effect);
        break;
      case "recompute": {
        const { id, round, head, counted } = effect;
        const { ether } = this.#stage;
        if (ether.chance(ether.loss / 4)) {
          const reason = "the model can not be had";
          this.#soon(5, () => this.#toJudge({ kind: "not-recomputed", id, reason, lacking: true }));
          break;
        }
        this.#putTogether(round, head, counted, (modelHash) =>
          this.#toJudge({ kind: "recomputed", id, modelHash, stateHash: undefined }),
        );
        break;
      }
      case "keep": {
        const { id, round, hashes } = effect;
        this.#trace(`writes to disk: the model of round ${round}`);
        const done = (): void => {
          for (const hash of hashes) this.#models.add(hash);
        };
        const said = (durable: boolean): void => this.#toJudge({ kind: "kept", id, durable });
        this.#write("votes-too-soon", done, said);
        break;
      }
      case "verdict": {
        const { id } = effect;
        const verdict = this.#blind(effect.verdict);
        this.#trace(verdict === "accept" ? "accepts" : `rejects: ${verdict.reject}`);
        this.seat?.vote(id, verdict);
        if (this.#stage.bugs.has("blind-to-order"))
          this.#soon(0, () => this.#toJudge({ kind: "ended", id, accepted: false }));
        break;
      }
      case "event":
        break;
      default:
        effect satisfies never;
    }
  }

  #blind(verdict: Extract<JudgeEffect, { kind: "verdict" }>["verdict"]) {
    if (verdict === "accept") return verdict;
    const { bugs } = this.#stage;
    const { reject } = verdict;
    const isBlind =
      (bugs.has("blind-to-counts") && /counted already|too old/.test(reject)) ||
      (bugs.has("blind-to-bases") && /^another base|^another sheet/.test(reject)) ||
      (bugs.has("blind-to-models") && reject.startsWith("another model")) ||
      (bugs.has("blind-to-numbers") && reject.endsWith("at least"));
    return isBlind ? "accept" : verdict;
  }

  #lied(value: Uint8Array): Uint8Array {
    return lieAbout(this.#stage, this.signer, value, this.plan.aggregatorLie, (content) =>
      this.#put(content),
    );
  }

  #putTogether(
    round: number,
    head: RoundHead,
    counted: readonly Counted[],
    done: (modelHash: string) => void,
  ): void {
    const { contents, ether } = this.#stage;
    for (const { updateHash } of counted)
      if (!this.#shelf.has(updateHash))
        throw new Violation(`${this.plan.name} is to put together what it does not hold`);
    this.#fetch(head.modelHash, this.#everybody(head.aggregator), (had) => {
      // The round may have gone on meanwhile, and what it was made of may be gone.
      if (counted.some(({ updateHash }) => !this.#shelf.has(updateHash))) return;
      if (!had)
        this.#soon(100, () => {
          if (head.round === this.round) this.#putTogether(round, head, counted, done);
        });
      else
        this.#soon(ether.between(5, 20), () => {
          const updates = counted.map((each) => ({
            ...each,
            update: String(contents.get(each.updateHash)),
          }));
          const base = String(contents.get(head.modelHash));
          done(this.#put(putTogether(base, round, updates)));
        });
    });
  }

  #fetchFor(machine: "aggregator" | "judge", { what, hash, holders }: FetchEffect): void {
    const { contents } = this.#stage;
    const tell = machine === "judge" ? "#judge" : "#aggregator";
    this.#fetch(hash, holders, (had) => {
      const bytes = contents.get(hash);
      if (!had || bytes === undefined) {
        if (tell === "#judge") this.#toJudge({ kind: "unfetchable", hash });
        else this.#toAggregator({ kind: "unfetchable", hash, wrongBytes: false });
      } else if (what === "sheet" && bytes instanceof Uint8Array) {
        if (tell === "#judge") this.#toJudge({ kind: "sheet", hash, bytes });
        else this.#toAggregator({ kind: "sheet", hash, bytes });
      } else if (tell === "#judge") this.#toJudge({ kind: "had", hash });
      else this.#toAggregator({ kind: "had", hash, is: lookAt(String(bytes)) });
    });
  }

  #fetch(hash: string, holders: readonly string[], done: (had: boolean) => void): void {
    const { ether } = this.#stage;
    if (this.#shelf.has(hash)) {
      // It may have been let go of in that very moment.
      this.#soon(0, () => (this.#shelf.has(hash) ? done(true) : this.#fetch(hash, holders, done)));
      return;
    }
    const [first, ...others] = holders;
    if (first === undefined) {
      this.#soon(ether.between(5, 20), () => done(false));
      return;
    }
    const holder = this.#neighbours.of(first);
    const isLost = ether.chance(ether.loss);
    this.#soon(ether.between(3, 40), () => {
      const isHad =
        !isLost && holder?.serves(hash) === true && !ether.isCut(this.peer, holder.peer);
      if (!isHad) return this.#fetch(hash, others, done);
      this.#shelf.add(hash);
      done(true);
    });
  }

  #everybody(first: string | undefined): readonly string[] {
    const all = this.#neighbours.all().map(({ peer }) => peer);
    return [...new Set(first === undefined ? all : [first, ...all])];
  }

  #aggregators(): readonly string[] {
    return this.#neighbours.all().flatMap(({ plan, peer }) => (plan.aggregates ? [peer] : []));
  }

  /** What nobody here needs any more goes. */
  #hold(machine: Machine, { hashes, durable }: HoldEffect): void {
    const before = [...(this.#held.get(machine) ?? []), ...(this.#durable.get(machine) ?? [])];
    this.#held.set(machine, hashes);
    this.#durable.set(machine, durable);
    const wanted = new Set([...this.#held.values(), ...this.#durable.values()].flat());
    for (const hash of before)
      if (!wanted.has(hash) && !this.#isModel(hash)) this.#shelf.delete(hash);
  }

  #isModel(hash: string): boolean {
    const content = this.#stage.contents.get(hash);
    return typeof content === "string" && content.startsWith('{"round"');
  }

  #put(content: string | Uint8Array): string {
    const { contents, hasher } = this.#stage;
    const hash = hasher.sha256Hex(content);
    contents.set(hash, content);
    this.#shelf.add(hash);
    return hash;
  }

  #trace(what: string): void {
    this.#stage.trace(this.plan.name, what);
  }
}
