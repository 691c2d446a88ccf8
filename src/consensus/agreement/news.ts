import type { Ballot } from "./ballot.ts";
import type { BoxObserver } from "./ballot-box.ts";
import type { Decision } from "./decision.ts";

/** What happened in the ballot box since it was looked at last. */
export interface News {
  readonly opened: readonly Ballot[];
  readonly closed: readonly Decision[];
  readonly certified: readonly Decision[];
  /** Everything may be another than before. */
  readonly restored: boolean;
}

/** Gathers what happens while entries are applied, so that it is looked at once for all of them. */
export class NewsDesk implements BoxObserver {
  #opened: Ballot[] = [];
  #closed: Decision[] = [];
  #certified: Decision[] = [];
  #restored = false;
  #listener: (() => void) | undefined;

  /** Hears that there is news, from now on; what happened before is forgotten. */
  listen(listener: () => void): void {
    this.#listener = listener;
  }

  /** @returns what happened since the last time */
  take(): News {
    const news = {
      opened: this.#opened,
      closed: this.#closed,
      certified: this.#certified,
      restored: this.#restored,
    };
    this.#opened = [];
    this.#closed = [];
    this.#certified = [];
    this.#restored = false;
    return news;
  }

  opened(ballot: Ballot): void {
    this.#tell(this.#opened, ballot);
  }

  closed(decision: Decision): void {
    this.#tell(this.#closed, decision);
  }

  certified(decision: Decision): void {
    this.#tell(this.#certified, decision);
  }

  restored(): void {
    this.#restored = true;
    this.#listener?.();
  }

  #tell<T>(list: T[], what: T): void {
    if (this.#listener === undefined) return;
    list.push(what);
    this.#listener();
  }
}
