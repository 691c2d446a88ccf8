/** One server-sent event (WHATWG HTML, 9.2). */
export interface ServerSentEvent {
  readonly id: string;
  readonly type: string;
  readonly data: string;
}

/** An event may not grow beyond this; what is longer is dropped, so that a broken peer cannot fill memory. */
const EVENT_CHARACTERS_MAX = 256 * 1024;

/**
 * Cuts a text/event-stream into events, whatever pieces it arrives in. EventSource itself cannot send an
 * Authorization header, hence a parser of our own.
 */
export class EventStreamParser {
  private rest = "";
  private id = "";
  private type = "";
  private data: string[] = [];
  private dataCharacters = 0;

  /** @returns the events that this piece completed. */
  push(piece: string): ServerSentEvent[] {
    const events: ServerSentEvent[] = [];
    this.rest += piece;
    for (;;) {
      const end = this.rest.search(/\r\n|\n|\r/);
      if (end < 0) break;
      // A lone CR at the end may be the first half of a CRLF.
      if (this.rest[end] === "\r" && end === this.rest.length - 1) break;
      const width = this.rest.startsWith("\r\n", end) ? 2 : 1;
      const line = this.rest.slice(0, end);
      this.rest = this.rest.slice(end + width);
      const event = this.line(line);
      if (event !== undefined) events.push(event);
    }
    if (this.rest.length > EVENT_CHARACTERS_MAX) this.rest = "";
    return events;
  }

  private line(line: string): ServerSentEvent | undefined {
    if (line === "") return this.dispatch();
    if (line.startsWith(":")) return undefined;
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const raw = colon < 0 ? "" : line.slice(colon + 1);
    const value = raw.startsWith(" ") ? raw.slice(1) : raw;
    if (field === "id" && !value.includes("\0")) this.id = value;
    else if (field === "event") this.type = value;
    else if (field === "data") {
      this.dataCharacters += value.length;
      if (this.dataCharacters <= EVENT_CHARACTERS_MAX) this.data.push(value);
    }
    return undefined;
  }

  private dispatch(): ServerSentEvent | undefined {
    const { type, data, dataCharacters } = this;
    this.type = "";
    this.data = [];
    this.dataCharacters = 0;
    if (data.length === 0 || dataCharacters > EVENT_CHARACTERS_MAX) return undefined;
    return { id: this.id, type: type === "" ? "message" : type, data: data.join("\n") };
  }
}
