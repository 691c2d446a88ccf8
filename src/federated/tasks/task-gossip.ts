import type { PeerId } from "../../platform/signer.ts";
import type { KnownTask, Statement, TaskVersion } from "./known-task.ts";
import { versionOf } from "./known-task.ts";
import { portions, type TasksMessage } from "./message-codec.ts";
import type { TaskBook } from "./task-book.ts";

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
 * whoever knows more says it, and asks for what it knows less of. What is new is passed on to all other neighbours at once. Hellos are
 * repeated now and then.
 */
export class TaskGossip {
  readonly #parts: TaskGossipParts;
  readonly #neighbours = new Set<PeerId>();

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
  }

  /** Says hello to all neighbours again: what got lost on the way evens out. */
  refresh(): readonly GossipEffect[] {
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
        return this.#tell(from, [
          ...message.unknown.flatMap((task) => this.#statement(task) ?? []),
          ...message.versions.flatMap((version) => this.#statement(version.task, version) ?? []),
        ]);
      default:
        return message satisfies never;
    }
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
      return ours !== undefined && (serial > ours.serial || round > ours.round) ? [ours] : [];
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
    return [...this.#neighbours].flatMap((peer) =>
      peer === but ? [] : this.#tell(peer, statements),
    );
  }
}

function ask(
  to: PeerId,
  unknown: readonly string[],
  versions: readonly TaskVersion[],
): readonly GossipEffect[] {
  const isNothing = unknown.length === 0 && versions.length === 0;
  return isNothing ? [] : [{ to, message: { kind: "want", unknown, versions } }];
}
