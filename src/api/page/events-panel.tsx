import { eventDetail, eventTitle, eventTone } from "./event-text.ts";
import { formatAge, formatClock, formatDay } from "./format.ts";
import { ToneIcon } from "./icons.tsx";
import type { AgentEvent } from "./model.ts";
import { Empty, Panel } from "./parts.tsx";

const FEED_SHOWN = 30;
const HOUR_MS = 3_600_000;

/** What happened, newest first, as it happens. */
export function EventsPanel(props: {
  events: readonly AgentEvent[];
  now: number;
  fault: string | undefined;
}) {
  return (
    <Panel
      id="events"
      title="Events"
      fault={
        props.fault && `No live events: ${props.fault}. Figures are still asked for every 2 s.`
      }
    >
      {props.events.length === 0 ? (
        <Empty>Nothing has happened since this page was opened.</Empty>
      ) : (
        <ol class="events" tabIndex={0} aria-label="Events, newest first">
          {props.events.slice(0, FEED_SHOWN).map((event) => (
            <li key={`${event.atMs}-${event.id}`}>
              <ToneIcon tone={eventTone(event)} />
              <div>
                <p class="event-title">{eventTitle(event)}</p>
                <p class="event-detail">{eventDetail(event)}</p>
              </div>
              <time title={formatDay(event.atMs)}>
                {props.now - event.atMs < HOUR_MS
                  ? formatAge(props.now - event.atMs)
                  : formatClock(event.atMs)}
              </time>
            </li>
          ))}
        </ol>
      )}
    </Panel>
  );
}
