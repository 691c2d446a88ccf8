/** What the receiver answered to a POST. */
export interface Answer {
  readonly status: number;
  /** By lower case name. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
  /** The body was longer than what is read of it. */
  readonly truncated: boolean;
}

/** The receiver's own verdict on one update of a batch. */
export interface Refusal {
  readonly permanent: boolean;
  readonly reason: string;
  /** Where the receiver names it. */
  readonly code?: string;
}

/** What an answer means for a batch. */
export type Verdict =
  /** The receiver has everything, except what it names. */
  | { readonly kind: "taken"; readonly refused: ReadonlyMap<string, Refusal> }
  /** Something in the batch, or its size, is not to the receiver's liking: find out what. */
  | { readonly kind: "disliked"; readonly tooLarge: boolean; readonly reason: string }
  /** Not now; with `retryAfterMs` where the receiver said when, or where asking soon is of no use. */
  | {
      readonly kind: "down";
      readonly reason: string;
      readonly retryAfterMs?: number;
      /** Only a human can mend it: a wrong token, a wrong address. */
      readonly needsHuman?: boolean;
    };

/** How {@link judge} reads answers. */
export interface JudgeOptions {
  /** Pause after an answer that only a human can mend. */
  readonly slowRetryMs: number;
  readonly retryAfterMaxMs: number;
  /** Where the token comes from, for messages. */
  readonly tokenSetting: string;
  readonly nowMs: number;
}

const REASON_LENGTH_MAX = 200;

/** Reads what a receiver answered. Pure; any answer at all gets a verdict. */
export function judge(answer: Answer, options: JudgeOptions): Verdict {
  const { status } = answer;
  const slowly = (reason: string): Verdict => ({
    kind: "down",
    reason,
    retryAfterMs: options.slowRetryMs,
    needsHuman: true,
  });
  if (status >= 200 && status < 300) return taken(answer);
  const said = `the receiver answered ${status}${explanation(answer)}`;
  if (status >= 300 && status < 400)
    return slowly(`${said}: redirects are not followed, set url to ${locationOf(answer)}`);
  if (status === 401 || status === 403) return slowly(`${said}: check ${options.tokenSetting}`);
  if (status === 404 || status === 405 || status === 410)
    return slowly(`${said}: nobody takes batches there, check url`);
  if (status === 415) return slowly(`${said}: it may not know the compression, set compression`);
  if (status === 400 || status === 413 || status === 422)
    return { kind: "disliked", tooLarge: status === 413, reason: said };
  const retryAfterMs = retryAfter(answer, options);
  return { kind: "down", reason: said, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

/** `{"refused": [{"id", "reason", "permanent"}]}`; what is no JSON says nothing, and nothing is refused. */
function taken(answer: Answer): Verdict {
  const refused = new Map<string, Refusal>();
  if (!isJson(answer) || (answer.body.length === 0 && !answer.truncated))
    return { kind: "taken", refused };
  const document = answer.truncated ? undefined : parse(answer.body);
  // What was refused stands in there: taking it all for accepted would lose it.
  if (document === undefined)
    return { kind: "down", reason: "the receiver's answer is no complete JSON document" };
  const list = field(document, "refused");
  if (!Array.isArray(list)) return { kind: "taken", refused };
  for (const entry of list as unknown[]) {
    const id = field(entry, "id");
    if (typeof id !== "string") continue;
    const code = field(entry, "code");
    const reason = field(entry, "reason") ?? code;
    refused.set(id, {
      ...(typeof code === "string" ? { code } : {}),
      permanent: field(entry, "permanent") !== false,
      reason: typeof reason === "string" ? brief(reason) : "refused without a reason",
    });
  }
  return { kind: "taken", refused };
}

/**
 * Retry-After in seconds or as a date (RFC 9110 section 10.2.3). A date is compared with the receiver's own
 * Date, since the device's clock may be wrong.
 */
function retryAfter({ headers }: Answer, options: JudgeOptions): number | undefined {
  const text = headers["retry-after"]?.trim();
  if (text === undefined || text === "") return undefined;
  let ms = Number.NaN;
  if (/^\d+$/.test(text)) ms = Number(text) * 1_000;
  else {
    const receiverNowMs = Date.parse(headers["date"] ?? "");
    ms = Date.parse(text) - (Number.isNaN(receiverNowMs) ? options.nowMs : receiverNowMs);
  }
  if (Number.isNaN(ms)) return undefined;
  return Math.min(options.retryAfterMaxMs, Math.max(0, ms));
}

/** The receiver's own words, where it has some for humans: RFC 9457, `error`, `message`, or plain text. */
function explanation(answer: Answer): string {
  const type = answer.headers["content-type"] ?? "";
  if (type.startsWith("text/plain")) return colon(answer.body.toString("utf8"));
  if (!isJson(answer)) return "";
  const document = parse(answer.body);
  const words = ["detail", "title", "error", "message"].map((name) => field(document, name));
  return colon(words.find((word) => typeof word === "string"));
}

function colon(words: unknown): string {
  const text = typeof words === "string" ? brief(words) : "";
  return text === "" ? "" : ` (${text})`;
}

function brief(text: string): string {
  return text
    .slice(0, REASON_LENGTH_MAX)
    .replaceAll(/\p{Cc}+/gu, " ")
    .trim();
}

function locationOf({ headers }: Answer): string {
  const location = headers["location"];
  // A query may hold a secret.
  return location === undefined ? "where it points to" : brief(location.replace(/[?#].*$/, ""));
}

function isJson({ headers }: Answer): boolean {
  return /^application\/([a-z.+-]+\+)?json\b/i.test(headers["content-type"] ?? "");
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8")) as unknown;
  } catch {
    return undefined;
  }
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}
