import { type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import {
  createInbox,
  headers,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
} from "@nats-io/nats-core";
import type {
  Marks,
  OutboundUpdate,
  SendOutcome,
  UplinkConnection,
  UplinkListener,
} from "../uplink-connection.ts";
import type { TlsFiles } from "../wire/dial.ts";
import type { SocketLedger } from "./counted-transport.ts";
import { type Credentials, openConnection } from "./open-connection.ts";
import { readPublishAck } from "./publish-ack.ts";
import { BASE_HEADER, OBSERVED_AT_HEADER, readStored, SEQUENCE_HEADER } from "./stored-marks.ts";
import { findStream, missingStream } from "./stream-setup.ts";
import { headerValue, subjectOf, topicOf } from "./subject.ts";

/** Settings of one NATS uplink. */
export interface NatsUplinkOptions {
  /** `nats://host:port`, or `tls://host:port` to insist on TLS. */
  readonly url: string;
  readonly agentId: string;
  /** Reads the credentials, at each connection. @throws Error naming the setting */
  readonly credentials: () => Credentials;
  readonly tls?: TlsFiles | undefined;
  /** Updates go to `{subjectPrefix}.{agentId}.{topic with dots}`. */
  readonly subjectPrefix: string;
  readonly streamName: string;
  readonly createStream: boolean;
  readonly duplicateWindowMs: number;
  /** `strict`: one update of a stream on the way at a time. */
  readonly ordering: "window" | "strict";
  readonly keepaliveSeconds: number;
  readonly connectTimeoutMs: number;
  /** Pause after a fault that only a human can mend. */
  readonly retryMaxMs: number;
  readonly inFlightMax: number;
  readonly sync: "auto" | "off";
}

interface Sending {
  readonly update: OutboundUpdate;
  readonly subject: string;
  readonly settle: (outcome: SendOutcome) => void;
}

interface Session {
  readonly connection: NatsConnection;
  readonly ledger: SocketLedger;
  readonly manager: JetStreamManager;
  readonly inbox: string;
  readonly direct: boolean;
}

/** A server refuses longer lines (`max_control_line`, 4,096 bytes with sizes and reply subject). */
const SUBJECT_BYTES_MAX = 3_500;
const MARKS_TIME_MAX_MS = 10_000;
const FLUSH_TIME_MAX_MS = 1_000;

/**
 * NATS JetStream as a road out. Every update is published with `Nats-Msg-Id`, so that the server drops repeats
 * within its duplicate window, and counts when its publish acknowledgement is here. Acknowledgements are read by
 * one subscription, and reconnecting is left to the uplink that owns this: the library's own is off.
 */
export class NatsUplink implements UplinkConnection {
  readonly #options: NatsUplinkOptions;
  #session: Session | undefined;
  #listener: UplinkListener | undefined;
  #generation = 0;
  #lastToken = 0;
  readonly #sent = new Map<string, Sending>();
  /** With `strict`: what waits for the one on the way, by agent and stream. */
  readonly #behind = new Map<string, Sending[]>();
  /** JetStream sequence of the newest acknowledgement, by agent and stream. It survives reconnects. */
  readonly #bases = new Map<string, number>();
  #pastBytes = 0;
  readonly askMarks?: NonNullable<UplinkConnection["askMarks"]>;

  constructor(options: NatsUplinkOptions) {
    this.#options = options;
    if (options.sync === "auto")
      this.askMarks = (streams, settle) => void this.#askMarks(streams, settle);
  }

  get wireBytes(): number {
    return this.#pastBytes + (this.#session?.ledger.wireBytes ?? 0);
  }

  connect(listener: UplinkListener): void {
    const generation = ++this.#generation;
    this.#listener = listener;
    this.#open(generation).then(
      (session) => {
        if (session === undefined || generation !== this.#generation) return;
        this.#session = session;
        void session.connection.closed().then((error) => {
          const reason = error instanceof Error ? error.message : "connection closed by the server";
          this.#down(generation, reason);
        });
        listener.up({ inFlightMax: this.#options.inFlightMax });
      },
      (error: Error) => this.#down(generation, error.message),
    );
  }

  send(update: OutboundUpdate, settle: (outcome: SendOutcome) => void): void {
    const session = this.#session;
    if (session === undefined) return;
    const { subjectPrefix, ordering } = this.#options;
    const subject = subjectOf(subjectPrefix, update.agentId, update.stream);
    const sending = { update, subject, settle };
    if (ordering === "strict") {
      const behind = this.#behind.get(streamOf(update));
      if (behind !== undefined) {
        behind.push(sending);
        return;
      }
      this.#behind.set(streamOf(update), []);
    }
    this.#publish(session, sending);
  }

  /** Published to `{subjectPrefix}.{agentId}.$state`: the stream's last message there is what a newcomer sees. */
  publishState(state: Uint8Array): void {
    const { subjectPrefix, agentId } = this.#options;
    this.#session?.connection.publish(subjectOf(subjectPrefix, agentId, "$state"), state);
  }

  async disconnect(): Promise<void> {
    const { connection } = this.#session ?? {};
    this.#forget();
    if (connection === undefined || connection.isClosed()) return;
    let giveUp: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      giveUp = setTimeout(resolve, FLUSH_TIME_MAX_MS);
    });
    await Promise.race([connection.flush().catch(() => undefined), late]);
    clearTimeout(giveUp);
    await connection.close();
  }

  async #open(generation: number): Promise<Session | undefined> {
    const { connectTimeoutMs, streamName } = this.#options;
    const { connection, ledger } = await openConnection(this.#options);
    try {
      const manager = await jetstreamManager(connection, {
        checkAPI: false,
        timeout: connectTimeoutMs,
      });
      const { direct } = await findStream(manager, this.#options);
      const inbox = createInbox();
      const session = { connection, ledger, manager, inbox, direct };
      connection.subscribe(`${inbox}.*`, {
        callback: (_, message) => {
          if (generation === this.#generation) this.#settle(session, message);
        },
      });
      this.#subscribeToCommands(connection, generation);
      if (generation === this.#generation) return session;
      await connection.close();
      return undefined;
    } catch (error) {
      await connection.close();
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`stream ${streamName}: ${reason}`, { cause: error });
    }
  }

  #publish(session: Session, sending: Sending): void {
    const { update, subject, settle } = sending;
    const head = this.#headersOf(update);
    const refusal = this.#tooLarge(session, update, subject);
    if (refusal !== undefined) {
      queueMicrotask(() => {
        if (session !== this.#session) return;
        settle({ kind: "refused", permanent: true, reason: refusal });
        this.#next(session, streamOf(update));
      });
      return;
    }
    const token = (++this.#lastToken).toString(36);
    this.#sent.set(token, sending);
    session.connection.publish(subject, update.payload, {
      headers: head,
      reply: `${session.inbox}.${token}`,
    });
  }

  #headersOf(update: OutboundUpdate): MsgHdrs {
    const head = headers();
    head.set("Nats-Msg-Id", headerValue(update.id));
    head.set(SEQUENCE_HEADER, String(update.sequence));
    head.set("stream", headerValue(update.stream));
    head.set(OBSERVED_AT_HEADER, new Date(update.observedAtMs).toISOString());
    head.set("observed-at-trusted", String(update.observedAtTrusted));
    head.set("content-type", headerValue(update.contentType));
    const base = this.#bases.get(streamOf(update));
    if (base !== undefined) head.set(BASE_HEADER, String(base));
    return head;
  }

  /** Sending such a thing would cost the connection, again and again. */
  #tooLarge(session: Session, update: OutboundUpdate, subject: string): string | undefined {
    if (Buffer.byteLength(subject) > SUBJECT_BYTES_MAX)
      return `its subject is over ${SUBJECT_BYTES_MAX} bytes`;
    const max = session.connection.info?.max_payload ?? Number.POSITIVE_INFINITY;
    // Headers count as payload: names, id, stream and times.
    const bytes = update.payload.length + 2 * Buffer.byteLength(update.id) + 320;
    return bytes > max
      ? `${update.payload.length} bytes are over the server's max_payload (${max})`
      : undefined;
  }

  #settle(session: Session, message: Msg): void {
    const token = message.subject.slice(session.inbox.length + 1);
    const sending = this.#sent.get(token);
    if (sending === undefined) return;
    this.#sent.delete(token);
    const { update, settle } = sending;
    const ack = readPublishAck(message.headers?.code ?? 0, message.string());
    if (ack.kind === "nobody") {
      this.#down(this.#generation, missingStream(this.#options), this.#options.retryMaxMs);
      return;
    }
    if (ack.kind === "stored") {
      const stream = streamOf(update);
      this.#noteBase(stream, ack.streamSequence);
      settle({ kind: "acknowledged" });
    } else settle(ack);
    this.#next(session, streamOf(update));
  }

  #noteBase(stream: string, sequence: number): void {
    this.#bases.set(stream, Math.max(sequence, this.#bases.get(stream) ?? 0));
  }

  #next(session: Session, stream: string): void {
    if (session !== this.#session) return;
    const behind = this.#behind.get(stream);
    const next = behind?.shift();
    if (next === undefined) this.#behind.delete(stream);
    else this.#publish(session, next);
  }

  async #askMarks(
    streams: readonly string[],
    settle: (marks: Marks | undefined) => void,
  ): Promise<void> {
    const session = this.#session;
    if (session === undefined) return;
    const { subjectPrefix, agentId, streamName } = this.#options;
    const untilMs = performance.now() + MARKS_TIME_MAX_MS;
    const patience = (): boolean => performance.now() < untilMs && session === this.#session;
    const marks = new Map<string, Awaited<ReturnType<typeof readStored>>>();
    const stream = { name: streamName, direct: session.direct };
    try {
      for (const name of streams) {
        if (!patience()) break;
        const subject = subjectOf(subjectPrefix, agentId, name);
        marks.set(name, await readStored(session.manager, stream, subject, patience));
      }
    } catch {
      // Without the right to read messages there are no marks; what was found before is as good as ever.
    }
    if (session !== this.#session) return;
    const known = [...marks].flatMap(([name, found]) =>
      found === undefined ? [] : [{ name, found }],
    );
    for (const { name, found } of known)
      this.#noteBase(streamOf({ agentId, stream: name }), found.last ?? 0);
    settle(
      marks.size === 0 && streams.length > 0
        ? undefined
        : new Map(known.map(({ name, found }) => [name, found.marks])),
    );
  }

  #subscribeToCommands(connection: NatsConnection, generation: number): void {
    const { subjectPrefix, agentId } = this.#options;
    const prefix = `${subjectOf(subjectPrefix, agentId, "$command")}.`;
    connection.subscribe(`${prefix}>`, {
      callback: (error, message) => {
        if (error !== null || generation !== this.#generation) return;
        this.#listener?.command(topicOf(message.subject.slice(prefix.length)), message.data);
      },
    });
  }

  #down(generation: number, reason: string, retryAfterMs?: number): void {
    if (generation !== this.#generation) return;
    const listener = this.#listener;
    const { connection } = this.#session ?? {};
    this.#forget();
    if (connection !== undefined && !connection.isClosed())
      connection.close().catch(() => undefined);
    listener?.down(reason, retryAfterMs);
  }

  #forget(): void {
    this.#pastBytes = this.wireBytes;
    this.#generation++;
    this.#session = undefined;
    this.#listener = undefined;
    this.#sent.clear();
    this.#behind.clear();
  }
}

/** Two agents may have streams of one name. */
function streamOf({ agentId, stream }: Pick<OutboundUpdate, "agentId" | "stream">): string {
  return `${agentId}/${stream}`;
}
