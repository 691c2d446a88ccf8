import { formatBytes, formatCount, formatDuration, formatPercent } from "./format.ts";
import type { Queue } from "./model.ts";
import { Empty, Fact, Meter, Panel, Tag } from "./parts.tsx";
import { type QueueDepth, trendOf } from "./queue-trend.ts";
import type { Session } from "./session.ts";
import { sparklinePath } from "./sparkline.ts";
import type { Tone } from "./verdict.ts";

const SPARK = { width: 240, height: 44 };

/** What waits on disk, how full that is, and what was lost or set aside. */
export function QueuePanel(props: {
  queue: Queue | undefined;
  depths: readonly QueueDepth[];
  now: number;
  busy: string | undefined;
  mayOperate: boolean;
  fault: string | undefined;
  session: Session;
}) {
  const { queue, session } = props;
  return (
    <Panel
      id="queue"
      title="Queue"
      fault={props.fault}
      aside={
        queue && (
          <Tag tone={queue.paused ? "warn" : "good"}>{queue.paused ? "Paused" : "Running"}</Tag>
        )
      }
    >
      {queue === undefined ? (
        <Empty>Nothing known yet.</Empty>
      ) : (
        <>
          {queue.storeFault !== undefined && (
            <p class="alert">The store cannot write: {queue.storeFault}</p>
          )}
          <Depth queue={queue} depths={props.depths} now={props.now} />
          <Quota queue={queue} />
          <Controls
            paused={queue.paused}
            busy={props.busy}
            mayOperate={props.mayOperate}
            session={session}
          />
          <Priorities queue={queue} />
          <Counters queue={queue} />
        </>
      )}
    </Panel>
  );
}

function Depth(props: { queue: Queue; depths: readonly QueueDepth[]; now: number }) {
  const { queue, depths } = props;
  const oldest = queue.oldestObservedAtMs;
  const path = sparklinePath(
    depths.map(({ updates }) => updates),
    SPARK.width,
    SPARK.height,
  );
  const words = [
    oldest === undefined ? undefined : `oldest ${formatDuration(props.now - oldest)}`,
    trendOf(depths, formatDuration),
  ].filter((part) => part !== undefined);
  return (
    <div class="depth">
      <p>
        <span class="depth-figure">{formatCount(queue.updates)}</span>{" "}
        {queue.updates === 1 ? "update waits" : "updates wait"}
        <small>{queue.updates === 0 ? "everything is delivered" : words.join(" · ")}</small>
      </p>
      {path !== "" && (
        <svg
          class="spark wide"
          viewBox={`0 0 ${SPARK.width} ${SPARK.height}`}
          preserveAspectRatio="none"
          role="img"
          aria-label="Queue depth over the last minutes"
        >
          <path d={path} />
        </svg>
      )}
    </div>
  );
}

function Quota({ queue }: { queue: Queue }) {
  const share = queue.bytesMax === 0 ? 0 : queue.bytes / queue.bytesMax;
  const tone: Tone | undefined = share >= 0.95 ? "bad" : share >= 0.8 ? "warn" : undefined;
  const words = `${formatBytes(queue.bytes)} of ${formatBytes(queue.bytesMax)}`;
  return (
    <div class="quota">
      <Meter
        share={share}
        label="Share of the queue's quota in use"
        text={words}
        {...(tone && { tone })}
      />
      <p>
        <span>
          {words} ({formatPercent(share * 100)})
        </span>
        <span>{`When full: ${queue.evict.replaceAll("-", " ")}`}</span>
      </p>
    </div>
  );
}

function Controls(props: {
  paused: boolean;
  busy: string | undefined;
  mayOperate: boolean;
  session: Session;
}) {
  const off = props.busy !== undefined || !props.mayOperate;
  return (
    <div class="controls">
      {props.paused ? (
        <button
          class="button primary"
          type="button"
          disabled={off}
          onClick={() => props.session.queueAction("resume")}
        >
          Resume
        </button>
      ) : (
        <button
          class="button"
          type="button"
          disabled={off}
          onClick={() => props.session.queueAction("pause")}
        >
          Pause
        </button>
      )}
      <button
        class="button"
        type="button"
        disabled={off}
        onClick={() => props.session.queueAction("flush")}
      >
        Flush now
      </button>
      {!props.mayOperate && (
        <span class="hint">This token may look only. An operator token may pause and flush.</span>
      )}
    </div>
  );
}

function Priorities({ queue }: { queue: Queue }) {
  const counts = Array.from({ length: 10 }, (_, priority) => {
    const entry = queue.updatesByPriority.find((one) => one.priority === priority);
    return entry?.updates ?? 0;
  });
  const most = Math.max(1, ...counts);
  return (
    <div class="priorities-block">
      <h3>Waiting by priority</h3>
      <ol
        class="priorities"
        aria-label="Updates waiting by priority, 0 is shed first, 9 leaves first"
      >
        {counts.map((updates, priority) => (
          <li key={priority} aria-label={`Priority ${priority}: ${formatCount(updates)}`}>
            <span class={updates === 0 ? "bar-count zero" : "bar-count"}>{compact(updates)}</span>
            <span class="bar">
              <span style={{ height: `${(updates / most) * 100}%` }} />
            </span>
            <span class="bar-label">{priority}</span>
          </li>
        ))}
      </ol>
      <p class="axis-words">
        <span>shed first</span>
        <span>leaves first</span>
      </p>
    </div>
  );
}

const compactFormat = new Intl.NumberFormat("en", {
  notation: "compact",
  maximumFractionDigits: 1,
});

function compact(count: number): string {
  return compactFormat.format(count);
}

/** Losses stand out, zeros do not. */
function warn(count: number): { tone?: Tone } {
  return count > 0 ? { tone: "warn" } : {};
}

function written({ bytes, deviceBytes, bytesPerDayMax, budgetUsed }: Queue["written"]): string {
  const amount = formatBytes(deviceBytes ?? bytes);
  return bytesPerDayMax === 0 ? amount : `${amount}, ${Math.round(budgetUsed * 100)} % of budget`;
}

function Counters({ queue }: { queue: Queue }) {
  return (
    <dl class="facts counters" aria-label="Since the agent started">
      <Fact label="Taken">{formatCount(queue.appended)}</Fact>
      <Fact label="Delivered">{formatCount(queue.acknowledged)}</Fact>
      <Fact label="Shed" {...warn(queue.shed)}>
        {formatCount(queue.shed)}
      </Fact>
      <Fact label="Expired" {...warn(queue.expired)}>
        {formatCount(queue.expired)}
      </Fact>
      <Fact label="Refused" {...warn(queue.refused)}>
        {formatCount(queue.refused)}
      </Fact>
      <Fact label="Dead letters" {...warn(queue.deadLetters)}>
        {queue.deadLetters === 0 ? (
          "0"
        ) : (
          <a href="#dead-letters">{formatCount(queue.deadLetters)}</a>
        )}
      </Fact>
      <Fact label="Written to flash" {...warn(queue.written.budgetUsed > 1 ? 1 : 0)}>
        {written(queue.written)}
      </Fact>
      <Fact label="Last commit">{formatDuration(queue.lastCommitMs)}</Fact>
      <Fact label="Store reopened" {...warn(queue.storeRecoveries)}>
        {`${formatCount(queue.storeRecoveries)} times`}
      </Fact>
    </dl>
  );
}
