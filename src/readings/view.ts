/** How a topic becomes an update. */
export interface TopicMappingView {
  /** MQTT topic filter, `+` and `#` allowed. */
  readonly filter: string;
  readonly priority: number;
  readonly expireAfterMs: number;
  /** `json` refuses payloads that do not parse; `any` passes bytes on. */
  readonly format: "any" | "json";
  /** `latest`: while several of one key wait, only the newest is sent. */
  readonly keep: "all" | "latest";
  /** JSON Pointer to the key; absent: the topic has one state. */
  readonly key?: string;
  readonly received: number;
}

/** The newest reading of a stream. */
export interface StreamReading {
  readonly stream: string;
  readonly topic: string;
  /** The payload as text, cut at 256 bytes; absent when it is not UTF-8. */
  readonly text?: string;
  readonly bytes: number;
  readonly contentType: string;
  readonly sequence: number;
  readonly observedAtMs: number;
  readonly observedAtTrusted: boolean;
  /** Readings of this stream since the agent started. */
  readonly count: number;
}

/** What came in, for REST and page. */
export interface ReadingsView {
  /** Newest first. */
  latest(options: { limit: number; offset: number; prefix?: string }): {
    readonly readings: readonly StreamReading[];
    readonly total: number;
  };
  mappings(): readonly TopicMappingView[];
  /** Totals since start. */
  totals(): {
    readonly received: number;
    readonly refused: number;
    readonly deadLettered: number;
    readonly bytes: number;
  };
}
