import type { Clock } from "../platform/clock.ts";
import type { EventSink } from "../platform/event-sink.ts";
import type { KeyValueStore } from "../platform/key-value-store.ts";
import type { Logger } from "../platform/logger.ts";
import type { OutboxOptions } from "./options.ts";

/** What an outbox is made of. */
export interface OutboxParts {
  readonly store: KeyValueStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly events: EventSink;
  readonly agentId: string;
  readonly options: OutboxOptions;
}
