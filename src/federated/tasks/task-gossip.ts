import type { PeerId } from "../../platform/signer.ts";
import type { KnownTask, Statement, TaskVersion } from "./known-task.ts";
import { versionOf } from "./known-task.ts";
import { portions, type TasksMessage } from "./message-codec.ts";
import type { TaskBook } from "./task-book.ts";

/** Neighbours that are told news in full; the others are told how new it is, and ask one of those who have it. */
const TOLD_IN_FULL = 2;
/** Of one version so many are asked: the first may be gone. */
const ASKED_MAX = 2;

/** What is to be said to whom. */
export interface GossipEffect {
  readonly to: PeerId;
  readonly message: TasksMessage;
}

/** What a gossip works with. */
export interface TaskGossipParts {
  readonly book: Pick<TaskBook, "all" | "get" | "versions" | "take">;
  readonly neighboursMax: number;
  readonly offence: (peer: PeerId, kind: "malformed" | "forged") => void;
  /** Hears what is known now, once for each piece of news. */
  readonly onNews: (task: KnownTask, news: Statement) => void;
}

/**
 * How learning tasks and their newest rounds get around. On a new link both sides say how much of which task they know;
 * whoever knows more says it, and asks for what it knows less of. What is new is passed on at once: in full to two neighbours, another two
 * each time, and as its number to the others, who ask for it, so that hardly anybody gets it twice however many neighbours it has. A
 * manifest goes to all. Hellos are repeated now and then.
 */
export class TaskGossip {
  readonly #parts: TaskGossipParts;
  readonly #neighbours = new Set<PeerId>();
  /** By task, whom this node has asked for which version. */
  readonly #asked = new Map<
    string,
    { readonly version: TaskVersion; readonly peers: Set<PeerId> }
  >();
  /** Whose turn it is to be told in full. */
  #turn = 0;

  constructor(parts: TaskGossipParts) {
    this.#parts = parts;
  }

  linkUp(peer: PeerId): readonly GossipEffect[] {
    if (this.#neighbours.has(peer) || this.#neighbours.size >= this.#parts.neighboursMax) return [];
    this.#neighbours.add(peer);
    return [{ to: peer, message: this.#hello() }];
  }

  linkDown(peer: PeerId): void {
    this.#neighbours.delete(peer);
    for (const { peers } of this.#asked.values()) peers.delete(peer);
  }

  /** Says hello to all neighbours again: what got lost on the way evens out. */
  refresh(): readonly GossipEffect[] {
    this.#asked.clear();
    const message = this.#hello();
    return Array.from(this.#neighbours, (to) => ({ to, message }));
  }

  /** Something came about here. */
  announce(news: Statement): readonly GossipEffect[] {
    return this.#pass([news], undefined);
  }

  message(from: PeerId, message: TasksMessage): readonly GossipEffect[] {
    switch (message.kind) {
      case "hello":
        return this.#onHello(from, message.versions);
      case "statements":
        return this.#onStatements(from, message.statements);
      case "want":
        return [
          ...this.#tell(from, [
            ...message.unknown.flatMap((task) => this.#statement(task) ?? []),
            ...message.versions.flatMap((version) => this.#statement(version.task, version) ?? []),
          ]),
          ...this.#askFor(from, message.versions),
        ];
      default:
        return message satisfies never;
    }
  }

  /** Somebody has what is not known here: it is asked for, unless others were. */
  #askFor(from: PeerId, versions: readonly TaskVersion[]): readonly GossipEffect[] {
    const worse: TaskVersion[] = [];
    for (const version of versions) {
      const known = this.#parts.book.get(version.task);
      const ours = known && versionOf(known);
      if (ours === undefined || !isNewer(version, ours)) continue;
      const before = this.#asked.get(version.task);
      const isFirst = before === undefined || isNewer(version, before.version);
      const asked = isFirst ? { version, peers: new Set<PeerId>() } : before;
      this.#asked.set(version.task, asked);
      if (asked.peers.size >= ASKED_MAX || asked.peers.has(from)) continue;
      asked.peers.add(from);
      worse.push(ours);
    }
    return ask(from, [], worse);
  }

  #hello(): TasksMessage {
    return { kind: "hello", versions: this.#parts.book.versions() };
  }

  #onHello(from: PeerId, versions: readonly TaskVersion[]): readonly GossipEffect[] {
    const theirs = new Map(versions.map((version) => [version.task, version]));
    const { book } = this.#parts;
    const better = Array.from(book.all(), ({ manifest: { task } }) =>
      this.#statement(task, theirs.get(task)),
    ).filter((each) => each !== undefined);
    const unknown = versions.flatMap(({ task }) => (book.get(task) === undefined ? [task] : []));
    const worse = versions.flatMap(({ task, serial, round }) => {
      const known = book.get(task);
      const ours = known && versionOf(known);
      const isOld = ours !== undefined && isNewer({ serial, round }, ours);
      return isOld ? [ours] : [];
    });
    return [...this.#tell(from, better), ...ask(from, unknown, worse)];
  }

  #onStatements(from: PeerId, statements: readonly Statement[]): readonly GossipEffect[] {
    const { book, offence, onNews } = this.#parts;
    const passed: Statement[] = [];
    const unknown: string[] = [];
    for (const statement of statements) {
      const taken = book.take(statement);
      if (taken.kind === "fault") offence(from, taken.fault);
      if (taken.kind === "unknown-task") unknown.push(statement.task);
      if (taken.kind === "news") {
        passed.push(taken.news);
        onNews(taken.task, taken.news);
      }
    }
    return [...this.#pass(passed, from), ...ask(from, unknown, [])];
  }

  /** What is known of a task beyond a version, manifest included without one; undefined where that is nothing. */
  #statement(task: string, than?: TaskVersion): Statement | undefined {
    const known = this.#parts.book.get(task);
    if (known === undefined) return undefined;
    const control = (known.control?.serial ?? 0) > (than?.serial ?? 0) ? known.control : undefined;
    const head = (known.head?.round ?? 0) > (than?.round ?? 0) ? known.head : undefined;
    if (than !== undefined && control === undefined && head === undefined) return undefined;
    return {
      task,
      ...(than === undefined && { manifest: known.manifest.proof }),
      ...(control !== undefined && { control: control.proof }),
      ...(head !== undefined && { head: head.bytes }),
    };
  }

  #tell(to: PeerId, statements: readonly Statement[]): GossipEffect[] {
    return portions(statements).map((message) => ({ to, message }));
  }

  #pass(statements: readonly Statement[], but: PeerId | undefined): GossipEffect[] {
    if (statements.length === 0) return [];
    const others = [...this.#neighbours].filter((peer) => peer !== but);
    const versions = statements.flatMap(({ task }) => {
      const known = this.#parts.book.get(task);
      return known === undefined ? [] : [versionOf(known)];
    });
    // Who does not know the task yet can not ask for what is newer of it.
    const isForAll = statements.some(({ manifest }) => manifest !== undefined);
    this.#turn += TOLD_IN_FULL;
    return others.flatMap((to, at) => {
      const place = (at + this.#turn) % others.length;
      if (isForAll || place < TOLD_IN_FULL) return this.#tell(to, statements);
      return ask(to, [], versions);
    });
  }
}

function isNewer(
  one: Pick<TaskVersion, "serial" | "round">,
  other: Pick<TaskVersion, "serial" | "round">,
): boolean {
  return one.serial > other.serial || one.round > other.round;
}

function ask(
  to: PeerId,
  unknown: readonly string[],
  versions: readonly TaskVersion[],
): readonly GossipEffect[] {
  const isNothing = unknown.length === 0 && versions.length === 0;
  return isNothing ? [] : [{ to, message: { kind: "want", unknown, versions } }];
}
