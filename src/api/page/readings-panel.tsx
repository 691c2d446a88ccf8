import type { TargetedInputEvent } from "preact";
import { formatAge, formatBytes, formatCount } from "./format.ts";
import type { Broker, Reading, Readings } from "./model.ts";
import { Empty, Panel } from "./parts.tsx";
import type { Session } from "./session.ts";
import { sparklinePath } from "./sparkline.ts";
import type { RecentValues } from "./values.ts";

const SPARK = { width: 96, height: 24 };

/** What came in: the newest reading of each stream. */
export function ReadingsPanel(props: {
  readings: Readings | undefined;
  prefix: string;
  broker: Broker | undefined;
  recent: RecentValues;
  now: number;
  fault: string | undefined;
  session: Session;
}) {
  const { readings, session } = props;
  // The agent lists newest first; by name the rows stay where they are while values change.
  const rows = readings?.items.toSorted((a, b) => a.stream.localeCompare(b.stream)) ?? [];
  const none = readings !== undefined && readings.total === 0;
  return (
    <Panel
      id="readings"
      title="Readings"
      fault={props.fault}
      aside={
        <label class="filter">
          <span class="filter-label">Streams that begin with</span>
          <input
            type="search"
            value={props.prefix}
            placeholder="sensors/"
            spellcheck={false}
            onInput={(event: TargetedInputEvent<HTMLInputElement>) =>
              session.showReadings({ prefix: event.currentTarget.value })
            }
          />
        </label>
      }
    >
      {readings === undefined && <Empty>Nothing known yet.</Empty>}
      {none && props.prefix !== "" && (
        <Empty>
          No stream begins with <code>{props.prefix}</code>.
        </Empty>
      )}
      {none && props.prefix === "" && <HowToPublish broker={props.broker} />}
      {readings !== undefined && !none && (
        <>
          <table class="readings">
            <thead>
              <tr>
                <th scope="col">Stream</th>
                <th scope="col" class="number">
                  Newest value
                </th>
                <th scope="col">Recent</th>
                <th scope="col" class="number">
                  Age
                </th>
                <th scope="col" class="number">
                  Count
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.map((reading) => (
                <Row
                  key={reading.stream}
                  reading={reading}
                  values={props.recent.of(reading.stream)}
                  now={props.now}
                />
              ))}
            </tbody>
          </table>
          <p class="more">
            <span>{`${formatCount(readings.items.length)} of ${formatCount(readings.total)} streams`}</span>
            {readings.items.length < readings.total && (
              <button class="button" type="button" onClick={() => session.showMoreReadings()}>
                Show more
              </button>
            )}
          </p>
        </>
      )}
    </Panel>
  );
}

function Row(props: { reading: Reading; values: readonly number[]; now: number }) {
  const { reading } = props;
  const path = sparklinePath(props.values, SPARK.width, SPARK.height);
  const ageMs = props.now - reading.observedAtMs;
  return (
    <tr>
      <th scope="row" class="stream" title={reading.stream}>
        {reading.stream}
      </th>
      <td class="number value" title={reading.text}>
        {reading.text ?? `${formatBytes(reading.bytes)} of ${reading.contentType}`}
      </td>
      <td class="spark-cell">
        {path !== "" && (
          <svg
            class="spark"
            viewBox={`0 0 ${SPARK.width} ${SPARK.height}`}
            role="img"
            aria-label={`Last ${props.values.length} values, ${Math.min(...props.values)} to ${Math.max(...props.values)}`}
          >
            <path d={path} />
          </svg>
        )}
      </td>
      <td class="number age">
        {reading.observedAtTrusted ? (
          formatAge(ageMs)
        ) : (
          <span title="The device's clock was not set when this came in">clock not set</span>
        )}
      </td>
      <td class="number count">{formatCount(reading.count)}</td>
    </tr>
  );
}

function HowToPublish({ broker }: { broker: Broker | undefined }) {
  const url = URL.parse(broker?.url ?? "mqtt://localhost:1883");
  const host = url === null || url.hostname === "" ? "localhost" : url.hostname;
  const port = url === null || url.port === "" ? "1883" : url.port;
  return (
    <Empty>
      <p>
        <strong>Nothing has come in yet.</strong> Publish a first reading to see it here:
      </p>
      <pre>
        <code>{`mosquitto_pub -h ${host} -p ${port} -q 1 -t sensors/room/temp -m 21.5`}</code>
      </pre>
      {broker?.connected === false && (
        <p>{`The broker is not connected: ${broker.reason ?? broker.url}`}</p>
      )}
    </Empty>
  );
}
