import { useState } from "preact/hooks";
import { formatAge, formatBytes, formatCount } from "./format.ts";
import type { DeadLetter } from "./model.ts";
import { Panel } from "./parts.tsx";
import type { Session } from "./session.ts";

const PREVIEW_CHARACTERS = 120;

/** What could not be delivered, why, and what can be done about it. */
export function DeadLettersPanel(props: {
  letters: readonly DeadLetter[];
  total: number;
  bytes: number;
  now: number;
  busy: boolean;
  mayOperate: boolean;
  fault: string | undefined;
  session: Session;
}) {
  return (
    <Panel
      id="dead-letters"
      title="Dead letters"
      fault={props.fault}
      aside={`${formatCount(props.total)}, ${formatBytes(props.bytes)}`}
    >
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
    </Panel>
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
