/** One operation of a client, as the client saw it. */
export interface Operation<Input, Output> {
  readonly input: Input;
  /** When it was asked for; of two events with the same time, calls come first. */
  readonly calledAt: number;
  /** When it was answered; undefined when it never was: it may have come about at any time after the call, or not at all. */
  readonly returnedAt: number | undefined;
  /** What came back; not looked at while there is no answer. */
  readonly output: Output | undefined;
}

/** What an object does when operations come one after the other. */
export interface Model<State, Input, Output> {
  /** Objects that have nothing to do with each other are checked apart (P-compositionality). */
  readonly keyOf: (input: Input) => string;
  /** Of each object. */
  readonly initial: State;
  /**
   * @param output undefined: of an operation that was never answered
   * @returns the state after it; undefined when the object can not have answered that
   */
  readonly step: (state: State, input: Input, output: Output | undefined) => State | undefined;
  /** Whether it leaves the state as it is: then it says nothing as long as it is not answered. */
  readonly isRead: (input: Input) => boolean;
  /** Two states are the same when their names are. */
  readonly nameOf: (state: State) => string;
}

/** `unknown`: the bound on steps was met first. */
export type Verdict = "linearizable" | "not-linearizable" | "unknown";

/** What a check came to. */
export interface Checked {
  readonly verdict: Verdict;
  /** The object that decided the verdict; undefined where all are well. */
  readonly key: string | undefined;
  /** How often the model was asked. */
  readonly steps: number;
}

/** Steps of one check. Histories of a few hundred operations take some thousands. */
export const STEPS_MAX = 4_000_000;
const WORD_BITS = 32;

/**
 * Whether there is an order of the operations that the object could have gone through, in which none comes before one that
 * was answered before it was called (Herlihy and Wing 1990). Searches depth first as Wing and Gong 1993 do, and goes into no
 * configuration twice (Lowe, "Testing for linearizability", 2017); each object for itself (Horn and Kroening 2015).
 * @param stepsMax of all objects together
 */
export function checkLinearizability<State, Input, Output>(
  history: readonly Operation<Input, Output>[],
  model: Model<State, Input, Output>,
  stepsMax = STEPS_MAX,
): Checked {
  const byKey = new Map<string, Operation<Input, Output>[]>();
  for (const operation of history) {
    // A read that nobody heard the answer of says nothing.
    if (operation.returnedAt === undefined && model.isRead(operation.input)) continue;
    const key = model.keyOf(operation.input);
    const known = byKey.get(key);
    if (known === undefined) byKey.set(key, [operation]);
    else known.push(operation);
  }
  let steps = 0;
  let unknown: string | undefined;
  for (const [key, operations] of byKey) {
    const search = new Search(operations, model, stepsMax - steps);
    const verdict = search.run();
    steps += search.steps;
    if (verdict === "not-linearizable") return { verdict, key, steps };
    if (verdict === "unknown") unknown ??= key;
  }
  return { verdict: unknown === undefined ? "linearizable" : "unknown", key: unknown, steps };
}

/** A call, or the answer to one, in a list that is ordered by time. */
interface Event {
  /** Of the operation. */
  readonly number: number;
  /** The answer to a call; undefined for answers, and for calls that have none. */
  answer: Event | undefined;
  readonly isCall: boolean;
  previous: Event;
  next: Event | undefined;
}

/** The search for one object. */
class Search<State, Input, Output> {
  readonly #operations: readonly Operation<Input, Output>[];
  readonly #model: Model<State, Input, Output>;
  readonly #stepsMax: number;
  readonly #head: Event;
  readonly #placed: Uint32Array;
  /** Configurations that were gone into: by a hash of the operations placed, by state, those operations as bits. */
  readonly #seen = new Map<number, Map<string, Uint32Array[]>>();
  /** Answered operations that have no place yet. */
  #missing = 0;
  #hash = 0;
  steps = 0;

  constructor(
    operations: readonly Operation<Input, Output>[],
    model: Model<State, Input, Output>,
    stepsMax: number,
  ) {
    this.#operations = operations;
    this.#model = model;
    this.#stepsMax = stepsMax;
    this.#placed = new Uint32Array(Math.ceil(operations.length / WORD_BITS));
    this.#head = listOf(operations);
    for (const { returnedAt } of operations) if (returnedAt !== undefined) this.#missing++;
  }

  run(): Verdict {
    const taken: { readonly event: Event; readonly before: State }[] = [];
    let state = this.#model.initial;
    let event = this.#head.next;
    while (this.#missing > 0) {
      if (event?.isCall === true) {
        if (this.steps >= this.#stepsMax) return "unknown";
        this.steps++;
        const after = this.#try(event, state);
        if (after === undefined) {
          event = event.next;
          continue;
        }
        taken.push({ event, before: state });
        state = after;
        lift(event);
        event = this.#head.next;
        continue;
      }
      // Something is answered that has no place yet: the last choice was wrong.
      const last = taken.pop();
      if (last === undefined) return "not-linearizable";
      state = last.before;
      this.#toggle(last.event.number);
      if (last.event.answer !== undefined) this.#missing++;
      putBack(last.event);
      event = last.event.next;
    }
    return "linearizable";
  }

  /** @returns the state when this operation comes next; undefined when it can not, or that was tried */
  #try(event: Event, state: State): State | undefined {
    const operation = this.#operations[event.number];
    if (operation === undefined) return undefined;
    const { input, returnedAt, output } = operation;
    const answer = returnedAt === undefined ? undefined : output;
    const after = this.#model.step(state, input, answer);
    if (after === undefined) return undefined;
    this.#toggle(event.number);
    if (!this.#isNew(this.#model.nameOf(after))) {
      this.#toggle(event.number);
      return undefined;
    }
    if (event.answer !== undefined) this.#missing--;
    return after;
  }

  #toggle(number: number): void {
    const word = number >>> 5;
    this.#placed[word] = (this.#placed[word] ?? 0) ^ (1 << (number & 31));
    this.#hash ^= scatter(number);
  }

  #isNew(state: string): boolean {
    let byState = this.#seen.get(this.#hash);
    if (byState === undefined) {
      byState = new Map();
      this.#seen.set(this.#hash, byState);
    }
    const known = byState.get(state);
    if (known?.some((placed) => areSame(placed, this.#placed)) === true) return false;
    if (known === undefined) byState.set(state, [this.#placed.slice()]);
    else known.push(this.#placed.slice());
    return true;
  }
}

/** @returns the head of the list, which is no event itself */
function listOf(operations: readonly Operation<unknown, unknown>[]): Event {
  const head: { next: Event | undefined } & Omit<Event, "previous"> = {
    number: -1,
    answer: undefined,
    isCall: false,
    next: undefined,
  };
  const first: Event = Object.assign(head, { previous: head as Event });
  const timed: { readonly at: number; readonly event: Event }[] = [];
  for (const [number, { calledAt, returnedAt }] of operations.entries()) {
    const answer: Event | undefined =
      returnedAt === undefined
        ? undefined
        : { number, answer: undefined, isCall: false, previous: first, next: undefined };
    const call: Event = { number, answer, isCall: true, previous: first, next: undefined };
    timed.push({ at: calledAt, event: call });
    if (returnedAt !== undefined && answer !== undefined)
      timed.push({ at: returnedAt, event: answer });
  }
  timed.sort(
    (one, other) => one.at - other.at || Number(other.event.isCall) - Number(one.event.isCall),
  );
  let last = first;
  for (const { event } of timed) {
    event.previous = last;
    last.next = event;
    last = event;
  }
  return first;
}

/** Takes a call and its answer out of the list. */
function lift(call: Event): void {
  unlink(call);
  if (call.answer !== undefined) unlink(call.answer);
}

/** The reverse of {@link lift}, for the one that was taken out last. */
function putBack(call: Event): void {
  if (call.answer !== undefined) link(call.answer);
  link(call);
}

function unlink(event: Event): void {
  event.previous.next = event.next;
  if (event.next !== undefined) event.next.previous = event.previous;
}

function link(event: Event): void {
  event.previous.next = event;
  if (event.next !== undefined) event.next.previous = event;
}

/** Bits of a number, mixed (the finalizer of MurmurHash3, Appleby 2011). */
function scatter(number: number): number {
  let bits = number + 1;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}

function areSame(one: Uint32Array, other: Uint32Array): boolean {
  for (let at = 0; at < one.length; at++) if (one[at] !== other[at]) return false;
  return true;
}
