import { formatClock, formatDuration } from "./format.ts";
import { Mark, ToneIcon } from "./icons.tsx";
import type { PageState } from "./page-state.ts";
import type { Session } from "./session.ts";
import { type Tone, type Verdict, verdictOf } from "./verdict.ts";

/** Which device this is, whether it is well, and whether the figures are live. */
export function Masthead(props: {
  state: PageState;
  browserNow: number;
  session: Session;
  onSignOut: () => void;
}) {
  const { state, browserNow } = props;
  return (
    <header class="masthead">
      <div class="masthead-bar">
        <p class="brand">
          <Mark /> Agent Mesh
        </p>
        <Liveness state={state} />
        <p class="who">
          {state.self !== undefined && (
            <span>
              {state.self.name} <span class="scope">{state.self.scope}</span>
            </span>
          )}
          <button class="button quiet" type="button" onClick={props.onSignOut}>
            Sign out
          </button>
        </p>
      </div>
      <Lost state={state} browserNow={browserNow} onRetry={() => props.session.retryNow()} />
      <div class="identity">
        <div class="identity-words">
          <h1>{state.device?.agentId ?? "This device"}</h1>
          <Identity state={state} browserNow={browserNow} />
        </div>
        <Health state={state} />
      </div>
    </header>
  );
}

function Liveness(props: { state: PageState }) {
  const { connection, freshAtMs } = props.state;
  const live = connection.phase === "live";
  const word = live ? "Live" : connection.phase === "lost" ? "No connection" : "Connecting…";
  return (
    <p class={`liveness ${connection.phase}`}>
      <span class="pulse" aria-hidden="true" />
      <span role="status">{word}</span>
      {freshAtMs !== undefined && <time class="as-of">{formatClock(freshAtMs)}</time>}
    </p>
  );
}

function Lost(props: { state: PageState; browserNow: number; onRetry: () => void }) {
  const { connection, freshAtMs } = props.state;
  if (connection.phase !== "lost") return null;
  const { retryAtMs, reason } = connection;
  const wait = retryAtMs === undefined ? 0 : retryAtMs - props.browserNow;
  return (
    <div class="outage">
      <p role="alert">
        <strong>The agent does not answer:</strong> {reason}.
        {freshAtMs !== undefined && ` Everything below is as of ${formatClock(freshAtMs)}.`}
      </p>
      <p class="outage-retry">
        <span>
          {wait > 500 ? `Trying again in ${Math.ceil(wait / 1000)}\u00a0s` : "Trying again…"}
        </span>
        <button class="button on-dark" type="button" onClick={props.onRetry}>
          Try now
        </button>
      </p>
    </div>
  );
}

function Identity(props: { state: PageState; browserNow: number }) {
  const { device, snapshot, clockOffsetMs } = props.state;
  if (device === undefined) return <p class="identity-line">Asking the agent who it is…</p>;
  const bootUptime = snapshot?.sample.uptimeMs;
  const agentUptimeMs = props.browserNow + clockOffsetMs - device.startedAtMs;
  const skewed = Math.abs(clockOffsetMs) > 60_000;
  return (
    <>
      <p class="identity-line">
        <span>{device.identity.model}</span>
        <span title={device.profile.chosenBecause}>Profile {device.profile.name}</span>
        {device.identity.hostname !== device.agentId && <span>{device.identity.hostname}</span>}
        <span title={`Kernel ${device.identity.kernel}`}>
          {device.identity.operatingSystem}, {device.identity.architecture}
        </span>
      </p>
      <p class="identity-line muted">
        <span>Version {device.version}</span>
        <span>Agent up {formatDuration(agentUptimeMs)}</span>
        {bootUptime?.available === true && (
          <span>Device up {formatDuration(bootUptime.value)}</span>
        )}
        {skewed && (
          <span class="skew">
            Device clock {formatDuration(Math.abs(clockOffsetMs))}{" "}
            {clockOffsetMs < 0 ? "behind" : "ahead of"} this browser
          </span>
        )}
      </p>
    </>
  );
}

function Health(props: { state: PageState }) {
  const { state } = props;
  const lost = state.connection.phase === "lost";
  const verdict = lost ? lastKnown(state) : verdictOf(state);
  const checks = state.health?.checks ?? [];
  return (
    <section class={`verdict ${verdict.tone}`} aria-label="Health">
      <p class="verdict-line" role="status">
        <ToneIcon tone={verdict.tone} />
        <strong>{verdict.headline}</strong>
        {checks.length > 0 && !lost && (
          <span class="verdict-count">
            {checks.filter(({ ok }) => ok).length} of {checks.length} checks pass
          </span>
        )}
      </p>
      {verdict.concerns.length > 0 ? (
        <ul class="concerns">
          {verdict.concerns.map((concern) => (
            <li key={concern}>{concern}</li>
          ))}
        </ul>
      ) : (
        <ul class="checks">
          {checks.map(({ name, ok }) => (
            <Check key={name} name={name} tone={ok ? "good" : "bad"} />
          ))}
        </ul>
      )}
    </section>
  );
}

/** Of an agent that does not answer nothing is known, only what it last said. */
function lastKnown(state: PageState): Verdict {
  const { headline, concerns } = verdictOf(state);
  const known = state.freshAtMs === undefined ? [] : [`Last known: ${headline.toLowerCase()}.`];
  return { tone: "idle", headline: "Unknown", concerns: [...known, ...concerns] };
}

function Check(props: { name: string; tone: Tone }) {
  return (
    <li>
      <ToneIcon tone={props.tone} />
      {props.name}
    </li>
  );
}
