import { capitalized, formatBytes, formatCount, formatDuration, quantity, text } from "./format.ts";
import { ToneIcon } from "./icons.tsx";
import type { Uplink } from "./model.ts";
import { Empty, Fact, Meter, Panel, Tag } from "./parts.tsx";
import type { Tone } from "./verdict.ts";

const TONES: Readonly<Record<Uplink["state"], Tone>> = {
  up: "good",
  connecting: "idle",
  waiting: "bad",
  idle: "idle",
  stopped: "idle",
};

/** The roads out: which is open, which waits, and why. */
export function UplinksPanel(props: {
  uplinks: readonly Uplink[] | undefined;
  /** Browser time at which the figures came: retry countdowns run from there. */
  freshAtMs: number;
  browserNow: number;
  fault: string | undefined;
}) {
  const { uplinks } = props;
  const up = uplinks?.filter(({ state }) => state === "up").length ?? 0;
  return (
    <Panel
      id="uplinks"
      title="Uplinks"
      fault={props.fault}
      aside={uplinks !== undefined && uplinks.length > 0 && `${up} of ${uplinks.length} up`}
    >
      {uplinks === undefined && <Empty>Nothing known yet.</Empty>}
      {uplinks?.length === 0 && (
        <Empty>
          <p>
            <strong>No uplink is configured.</strong> Readings are kept on this device until there
            is one. Add it to the configuration:
          </p>
          <pre>
            <code>
              {"uplinks:\n  - name: fleet\n    kind: mqtt\n    url: mqtts://broker.example:8883"}
            </code>
          </pre>
        </Empty>
      )}
      <ul class="uplinks">
        {uplinks?.map((uplink) => (
          <Road key={uplink.name} uplink={uplink} elapsedMs={props.browserNow - props.freshAtMs} />
        ))}
      </ul>
    </Panel>
  );
}

function Road({ uplink, elapsedMs }: { uplink: Uplink; elapsedMs: number }) {
  const tone = TONES[uplink.state];
  const retryInMs = uplink.retryInMs === undefined ? undefined : uplink.retryInMs - elapsedMs;
  return (
    <li class="uplink">
      <div class="uplink-head">
        <ToneIcon tone={tone} />
        <h3>{uplink.name}</h3>
        <Tag tone={tone}>{capitalized(uplink.state)}</Tag>
        {uplink.active && <Tag tone="idle">Active</Tag>}
        <code class="url">{uplink.url}</code>
      </div>
      {uplink.state !== "up" && (
        <p class="uplink-why">
          <span>{uplink.reason ?? `${capitalized(uplink.state)}.`}</span>
          {retryInMs !== undefined && (
            <strong>
              {retryInMs > 1000 ? `Next attempt in ${formatDuration(retryInMs)}` : "Trying now"}
              {`, attempt ${formatCount(uplink.attempts + 1)}.`}
            </strong>
          )}
        </p>
      )}
      <dl class="facts">
        <Fact label="Rate">{text(quantity(uplink.acknowledgedPerSecond, "updates/s"))}</Fact>
        <Fact label="Round trip">
          {uplink.lastRoundTripMs === undefined ? "–" : formatDuration(uplink.lastRoundTripMs)}
        </Fact>
        <Fact label="In flight">
          {`${formatCount(uplink.inFlight)} of ${formatCount(uplink.inFlightMax)}`}
          <Meter
            share={uplink.inFlightMax === 0 ? 0 : uplink.inFlight / uplink.inFlightMax}
            label={`Updates in flight on ${uplink.name}`}
            text={`${uplink.inFlight} of ${uplink.inFlightMax}`}
          />
        </Fact>
        <Fact label="Delivered">{formatCount(uplink.acknowledged)}</Fact>
        <Fact label="Sent">{formatBytes(uplink.sentBytes)}</Fact>
        <Fact label="Refused" {...(uplink.refused > 0 && { tone: "warn" as const })}>
          {formatCount(uplink.refused)}
        </Fact>
      </dl>
    </li>
  );
}
