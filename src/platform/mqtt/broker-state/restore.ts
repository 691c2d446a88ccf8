import type { KeyValueStore, StoreEntry } from "../../key-value-store.ts";
import type { Journal } from "./journal.ts";
import {
  DAMAGED,
  EPOCH_KEY,
  FLIGHTS,
  INCOMING,
  messageIdOf,
  ordinalOf,
  QUEUES,
  queueKey,
  RETAINED,
  SESSIONS,
  sessionOf,
  WILLS,
} from "./keys.ts";
import type { OutgoingMessages } from "./outgoing.ts";
import type { RetainedMessages } from "./retained.ts";
import type { Session } from "./session.ts";
import type { Sessions } from "./sessions.ts";
import type { Wills } from "./wills.ts";

const PAGE = { limit: 500, bytesMax: 1_048_576 } as const;
/** Damaged entries that are kept for somebody to look at. */
const DAMAGED_MAX = 100;

/** What is filled from the store. */
export interface RestoreParts {
  readonly store: KeyValueStore;
  readonly journal: Journal;
  readonly sessions: Sessions;
  readonly outgoing: OutgoingMessages;
  readonly retained: RetainedMessages;
  readonly wills: Wills;
  readonly setAside: (key: string, value: Uint8Array) => void;
}

/**
 * Reads everything that the broker remembers, page by page. What is damaged is set aside; what belongs to
 * no session is deleted.
 * @returns the number of this start, which no start had before. @throws StoreError
 */
export async function restoreState(parts: RestoreParts): Promise<number> {
  const { store, journal, sessions, outgoing, retained, wills, setAside } = parts;
  const stored = await store.get(EPOCH_KEY);
  const epoch = (Number.parseInt(Buffer.from(stored ?? []).toString(), 10) || 0) + 1;
  journal.put(EPOCH_KEY, Buffer.from(String(epoch)));
  const each = async (
    range: { gte: string; lt: string },
    take: (key: string, value: Uint8Array) => boolean,
  ): Promise<void> => {
    for await (const [key, value] of entries(store, range))
      if (!take(key, value)) setAside(key, value);
  };
  await each(SESSIONS, (key, value) => sessions.restore(sessionOf(key), value));
  /** Takes what belongs to a session, and deletes what belongs to none. */
  const owned =
    (take: (session: Session, key: string, value: Uint8Array) => boolean) =>
    (key: string, value: Uint8Array): boolean => {
      sessions.notice(sessionOf(key));
      const session = sessions.byNumber(sessionOf(key));
      if (session !== undefined) return take(session, key, value);
      journal.delete(key);
      return true;
    };
  const waiting = new Set<string>();
  const flying = new Set<string>();
  await each(FLIGHTS, (key) => {
    flying.add(queueKey(sessionOf(key), ordinalOf(key)));
    return true;
  });
  await each(
    QUEUES,
    owned((session, key, value) => {
      outgoing.restore(session, key, value);
      if (flying.has(key)) waiting.add(key);
      return true;
    }),
  );
  await each(
    FLIGHTS,
    owned((session, key, value) => {
      if (waiting.has(queueKey(sessionOf(key), ordinalOf(key))))
        return outgoing.restoreFlight(session, key, value);
      journal.delete(key);
      return true;
    }),
  );
  await each(
    INCOMING,
    owned((session, key) => {
      session.incoming.add(messageIdOf(key));
      return true;
    }),
  );
  await each(RETAINED, (key, value) => retained.restore(key, value));
  await each(WILLS, (_, value) => wills.restore(value));
  const damaged = await store.range({ ...DAMAGED, limit: DAMAGED_MAX * 2 });
  for (const [key] of damaged.slice(DAMAGED_MAX)) journal.delete(key);
  await journal.flush();
  return epoch;
}

async function* entries(
  store: KeyValueStore,
  range: { gte: string; lt: string },
): AsyncGenerator<StoreEntry> {
  for (let from = range.gte; ; ) {
    const page = await store.range({ gte: from, lt: range.lt, ...PAGE });
    yield* page;
    const last = page.at(-1);
    if (last === undefined) return;
    from = `${last[0]}!`;
  }
}
