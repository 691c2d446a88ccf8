import { useState } from "preact/hooks";
import { formatAge, formatBytes, formatCount } from "./format.ts";
import type { DeadLetter } from "./model.ts";
import type { Session } from "./session.ts";

const PREVIEW_CHARACTERS = 120;

/** What could not be delivered, why, and what can be done about it. */
export function DeadLetters(props: {
  letters: readonly DeadLetter[];
  total: number;
  bytes: number;
  now: number;
  busy: boolean;
  mayOperate: boolean;
  session: Session;
}) {
  return (
    <div class="dead-letters">
      <h3>
        Dead letters{" "}
        <span class="muted">{`${formatCount(props.total)}, ${formatBytes(props.bytes)}`}</span>
      </h3>
      <ul>
        {props.letters.map((letter) => (
          <Letter key={letter.id} letter={letter} {...props} />
        ))}
      </ul>
      {props.letters.length < props.total && (
        <p class="muted">
          {`The first ${formatCount(props.letters.length)} are shown; all of them: `}
          <code>agent-mesh queue dead-letters list</code>
        </p>
      )}
    </div>
  );
}

function Letter(props: {
  letter: DeadLetter;
  now: number;
  busy: boolean;
  mayOperate: boolean;
  session: Session;
}) {
  const { letter, session } = props;
  const [sure, setSure] = useState(false);
  const off = props.busy || !props.mayOperate;
  const { payload } = letter;
  const preview =
    payload.encoding === "utf-8"
      ? payload.data.slice(0, PREVIEW_CHARACTERS)
      : `${formatBytes(payload.bytes)} that are not text`;
  return (
    <li class="letter">
      <p class="letter-head">
        <code class="topic">{letter.topic}</code>
        <span class="muted">{formatAge(props.now - letter.deadAtMs)}</span>
      </p>
      <p>
        {letter.reason} <code class="code">{letter.code}</code>
      </p>
      {preview !== "" && <p class="preview">{preview}</p>}
      <p class="letter-actions">
        <button
          class="button small"
          type="button"
          disabled={off}
          aria-label={`Requeue ${letter.topic}`}
          onClick={() => session.requeue(letter)}
        >
          Requeue
        </button>
        {sure ? (
          <>
            <button
              class="button small danger"
              type="button"
              disabled={off}
              aria-label={`Delete ${letter.topic} for good`}
              onClick={() => session.deleteLetter(letter)}
            >
              Delete for good
            </button>
            <button class="button small quiet" type="button" onClick={() => setSure(false)}>
              Keep
            </button>
          </>
        ) : (
          <button
            class="button small"
            type="button"
            disabled={off}
            aria-label={`Delete ${letter.topic}`}
            onClick={() => setSure(true)}
          >
            Delete
          </button>
        )}
      </p>
    </li>
  );
}
