import { useState } from "preact/hooks";
import { formatAge, formatClock, formatCount, formatDay, formatScore } from "./format.ts";
import { ToneIcon } from "./icons.tsx";
import type { LearningFigures, ShownTask } from "./learning-figures.ts";
import {
  activityWords,
  holderWords,
  roundWords,
  servingWords,
  TASK_STATES,
} from "./learning-words.ts";
import type { LearningAlert, LearningTask } from "./model.ts";
import { Empty, Fact, Meter, Panel, Tag } from "./parts.tsx";
import { RoundPlot } from "./round-plot.tsx";
import type { Session } from "./session.ts";

/** What the fleet learns, how far it is, and what this agent's sensors did that is not normal. */
export function LearningPanel(props: {
  learning: LearningFigures;
  now: number;
  busy: boolean;
  mayOperate: boolean;
  fault: string | undefined;
  session: Session;
}) {
  const { tasks, others, alerts } = props.learning;
  return (
    <Panel
      id="learning"
      title="Learning"
      fault={props.fault}
      aside={others > 0 && `${formatCount(others)} more in GET /v1/learning/tasks`}
    >
      {tasks.length === 0 ? (
        <Empty>
          <p>The fleet learns nothing yet. Give any agent a task:</p>
          <code>agent-mesh learn start examples/learn/tasks/anomaly.yaml</code>
        </Empty>
      ) : (
        <ul class="learning-tasks">
          {tasks.map((shown) => (
            <li key={shown.task.task}>
              <Task
                shown={shown}
                busy={props.busy}
                mayOperate={props.mayOperate}
                session={props.session}
              />
            </li>
          ))}
        </ul>
      )}
      {alerts.length > 0 && <Alerts alerts={alerts} now={props.now} />}
    </Panel>
  );
}

function Task(props: { shown: ShownTask; busy: boolean; mayOperate: boolean; session: Session }) {
  const { task, rounds, serving } = props.shown;
  const { spec, latest, round } = task;
  const { word, tone } = TASK_STATES[task.state];
  return (
    <article class="learning-task">
      <header class="learning-head">
        <h3>{spec.name}</h3>
        <Tag tone={tone}>{word}</Tag>
        {serving?.alert.raised === true && <Tag tone="bad">Anomaly now</Tag>}
        <span class="muted">
          {`Round ${formatCount(round)} of ${formatCount(spec.rounds)}, started by ${holderWords(task.author)}`}
        </span>
      </header>
      <Meter
        share={round / spec.rounds}
        label={`Rounds of ${spec.name}`}
        text={`${formatCount(round)} of ${formatCount(spec.rounds)} rounds`}
      />
      <div class="learning-body">
        <dl class="facts">
          <Fact label="This agent" {...(task.activity === "failed" && { tone: "bad" as const })}>
            {activityWords(task)}
            <small>{`${formatCount(task.samples)} samples of its own`}</small>
          </Fact>
          <Fact label="Newest round">
            {latest === undefined ? "None is decided yet" : roundWords(latest)}
          </Fact>
          {serving !== undefined && (
            <Fact
              label="Newest score of this agent's sensors"
              {...(serving.newest?.isAnomalous === true && { tone: "bad" as const })}
            >
              {servingWords(serving)}
            </Fact>
          )}
        </dl>
        <RoundPlot name={spec.name} rounds={rounds} />
      </div>
      <Controls
        task={task}
        busy={props.busy}
        mayOperate={props.mayOperate}
        session={props.session}
      />
    </article>
  );
}

/** Only an agent's own task obeys it; one that is over obeys nobody. */
function Controls(props: {
  task: LearningTask;
  busy: boolean;
  mayOperate: boolean;
  session: Session;
}) {
  const { task, session } = props;
  const [sure, setSure] = useState(false);
  const { name } = task.spec;
  if (!task.author.self || task.state === "stopped" || task.state === "finished") return null;
  const off = props.busy || !props.mayOperate;
  const next = task.state === "paused" ? "resume" : "pause";
  const label = next === "pause" ? "Let it rest" : "Go on";
  return (
    <p class="learning-actions">
      <button
        class="button small"
        type="button"
        disabled={off}
        aria-label={`${label}: ${name}`}
        onClick={() => session.learningAction(task, next)}
      >
        {label}
      </button>
      {sure ? (
        <>
          <button
            class="button small danger"
            type="button"
            disabled={off}
            aria-label={`End ${name} for good`}
            onClick={() => {
              setSure(false);
              session.learningAction(task, "stop");
            }}
          >
            End for good
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
          aria-label={`End ${name}`}
          onClick={() => setSure(true)}
        >
          End
        </button>
      )}
      {!props.mayOperate && (
        <span class="hint">This token may look only. An operator token may pause and end.</span>
      )}
    </p>
  );
}

function Alerts({ alerts, now }: { alerts: readonly LearningAlert[]; now: number }) {
  return (
    <>
      <h3 class="learning-alerts-title">Anomalies of this agent's sensors</h3>
      <ol class="learning-alerts" aria-label="Anomalies, newest first">
        {alerts.map((alert) => (
          <li key={`${alert.task} ${alert.atMs} ${alert.state}`}>
            <ToneIcon tone={alert.state === "raised" ? "bad" : "good"} />
            <div>
              <p class="event-title">
                {alert.state === "raised" ? `Anomaly: ${alert.name}` : `Over: ${alert.name}`}
              </p>
              <p class="event-detail">
                {`score ${formatScore(alert.score)}, normal up to ${formatScore(alert.threshold)}, since ${formatClock(alert.sinceMs)}, model of round ${formatCount(alert.round)}`}
              </p>
            </div>
            <time title={formatDay(alert.atMs)}>{formatAge(now - alert.atMs)}</time>
          </li>
        ))}
      </ol>
    </>
  );
}
