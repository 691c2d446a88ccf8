import { capitalized, formatCount, formatDuration, quantity } from "./format.ts";
import type { PageState } from "./page-state.ts";
import { Amount, Fact } from "./parts.tsx";
import { trendOf } from "./queue-trend.ts";
import type { Tone } from "./verdict.ts";

const POWER_TONES: Readonly<Record<string, Tone>> = {
  normal: "good",
  saving: "warn",
  aggressive: "warn",
  critical: "bad",
};

/** The six figures one asks for first, in one row. */
export function Vitals(props: { state: PageState; now: number }) {
  const { queue, uplinks, power, readings, broker, depths } = props.state;
  const active = uplinks?.find(({ active }) => active) ?? uplinks?.[0];
  const perSecond = uplinks?.reduce((sum, uplink) => sum + uplink.acknowledgedPerSecond, 0);
  const oldest = queue?.oldestObservedAtMs;
  return (
    <dl class="vitals" aria-label="At a glance">
      <Fact label="Uplink" tone={uplinkTone(active?.state)}>
        <span class="amount">
          {active === undefined
            ? uplinks === undefined
              ? "–"
              : "None"
            : capitalized(active.state)}
        </span>
        <small>
          {active?.name ?? (uplinks === undefined ? "\u00a0" : "readings stay on the device")}
        </small>
      </Fact>
      <Fact label="Waiting to leave">
        <Amount of={{ figure: queue === undefined ? "–" : formatCount(queue.updates), unit: "" }} />
        <small>{queue?.paused ? "paused" : (trendOf(depths, formatDuration) ?? "updates")}</small>
      </Fact>
      <Fact label="Oldest waiting">
        <span class="amount">
          {oldest === undefined
            ? queue === undefined
              ? "–"
              : "None"
            : formatDuration(props.now - oldest)}
        </span>
        <small>{oldest === undefined ? "nothing waits" : "since it came in"}</small>
      </Fact>
      <Fact label="Delivered">
        <Amount of={quantity(perSecond, "/s")} />
        <small>
          {queue === undefined ? "\u00a0" : `${formatCount(queue.acknowledged)} since start`}
        </small>
      </Fact>
      <Fact label="Readings taken" {...(broker?.connected === false && { tone: "bad" as const })}>
        <Amount of={{ figure: readings ? formatCount(readings.totals.received) : "–", unit: "" }} />
        <small>{brokerWords(props.state)}</small>
      </Fact>
      <Fact label="Power mode" tone={POWER_TONES[power?.mode ?? ""] ?? "idle"}>
        <span class="amount">{power === undefined ? "–" : capitalized(power.mode)}</span>
        <small>
          {power === undefined ? "\u00a0" : `for ${formatDuration(props.now - power.sinceMs)}`}
        </small>
      </Fact>
    </dl>
  );
}

function uplinkTone(state: string | undefined): Tone {
  if (state === "up") return "good";
  return state === "waiting" ? "bad" : "idle";
}

function brokerWords({ broker, readings }: PageState): string {
  if (broker?.connected === false) return broker.reason ?? "broker not connected";
  if (broker?.clients !== undefined) {
    return `${formatCount(broker.clients)} MQTT ${broker.clients === 1 ? "client" : "clients"}`;
  }
  return readings === undefined ? "\u00a0" : `${formatCount(readings.total)} streams`;
}
