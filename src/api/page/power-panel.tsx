import { capitalized, formatAge, formatClock, formatDuration } from "./format.ts";
import type { Power } from "./model.ts";
import { Empty, Fact, Panel } from "./parts.tsx";

const MODES = ["normal", "saving", "aggressive", "critical"] as const;

/** The power mode, why it is that, and what it changes. */
export function PowerPanel(props: {
  power: Power | undefined;
  now: number;
  fault: string | undefined;
}) {
  const { power } = props;
  return (
    <Panel
      id="power"
      title="Power"
      fault={props.fault}
      aside={power !== undefined && <span>{`since ${formatClock(power.sinceMs)}`}</span>}
    >
      {power === undefined ? (
        <Empty>Nothing known yet.</Empty>
      ) : (
        <Mode power={power} now={props.now} />
      )}
    </Panel>
  );
}

function Mode({ power, now }: { power: Power; now: number }) {
  const { settings } = power;
  return (
    <>
      <ol class="modes" aria-label="Power modes">
        {MODES.map((mode) => (
          <li key={mode} class={mode} aria-current={mode === power.mode ? "true" : undefined}>
            {capitalized(mode)}
          </li>
        ))}
      </ol>
      <p class="reason">{capitalized(power.reason)}</p>
      <dl class="facts">
        <Fact label="Looks at the device">every {formatDuration(settings.samplingIntervalMs)}</Fact>
        <Fact label="Sends">
          {settings.uplinkBatchIntervalMs === 0
            ? "at once"
            : `every ${formatDuration(settings.uplinkBatchIntervalMs)} or ${settings.uplinkBatchUpdatesMax} updates`}
        </Fact>
        <Fact label="Never held back">priority {settings.uplinkUrgentPriorityMin} and above</Fact>
        <Fact label="Mode changes">
          {power.transitions === 0
            ? "none since start"
            : `${power.transitions}, last ${formatAge(now - power.sinceMs)}`}
        </Fact>
      </dl>
    </>
  );
}
