import { CommitteePanel } from "./committee-panel.tsx";
import { DeadLettersPanel } from "./dead-letters-panel.tsx";
import { EventsPanel } from "./events-panel.tsx";
import { FleetPanel } from "./fleet-panel.tsx";
import { LearningPanel } from "./learning-panel.tsx";
import { Masthead } from "./masthead.tsx";
import { MeshPanel } from "./mesh-panel.tsx";
import type { MeshVisit } from "./mesh-visit.ts";
import type { PageState } from "./page-state.ts";
import { PowerPanel } from "./power-panel.tsx";
import { QueuePanel } from "./queue-panel.tsx";
import { ReadingsPanel } from "./readings-panel.tsx";
import { ResourcesPanel } from "./resources-panel.tsx";
import { RolesPanel } from "./roles-panel.tsx";
import type { Session } from "./session.ts";
import type { Store } from "./store.ts";
import { UplinksPanel } from "./uplinks-panel.tsx";
import { useNow, useStore } from "./use-store.ts";
import { VisitPanel } from "./visit-panel.tsx";
import { Vitals } from "./vitals.tsx";

/** Without an answer for this long, figures are shown as old. */
const STALE_AFTER_MS = 10_000;

/** One device at a glance: is it well, what does it do, what waits. */
export function Dashboard(props: {
  store: Store<PageState>;
  session: Session;
  visit: MeshVisit;
  onSignOut: () => void;
}) {
  const { session } = props;
  const state = useStore(props.store);
  const browserNow = useNow();
  const now = browserNow + state.clockOffsetMs;
  const { phase } = state.connection;
  const stale =
    phase === "lost" ||
    (state.freshAtMs !== undefined && browserNow - state.freshAtMs > STALE_AFTER_MS);
  const fault = (part: string) => state.faults.get(part);
  const mayOperate = state.self?.scope !== "viewer";

  return (
    <>
      <a class="skip" href="#content">
        Skip to the figures
      </a>
      <Masthead
        state={state}
        browserNow={browserNow}
        session={session}
        onSignOut={props.onSignOut}
      />
      <main id="content" class={stale ? "content stale" : "content"} tabIndex={-1}>
        <Vitals state={state} now={now} />
        <ResourcesPanel state={state} now={now} />
        {state.mesh?.enabled === true && state.fleet !== undefined && (
          <FleetPanel
            fleet={state.fleet}
            search={state.fleetSearch}
            browserNow={browserNow}
            fault={fault("fleet")}
            session={session}
          />
        )}
        {state.learning !== undefined && (
          <LearningPanel
            learning={state.learning}
            now={now}
            busy={state.busy !== undefined}
            mayOperate={mayOperate}
            fault={fault("learning") ?? fault("anomalies")}
            session={session}
          />
        )}
        <div class="columns">
          <div class="column">
            <QueuePanel
              queue={state.queue}
              depths={state.depths}
              now={now}
              busy={state.busy}
              mayOperate={mayOperate}
              fault={fault("queue")}
              session={session}
            />
            <ReadingsPanel
              readings={state.readings}
              prefix={state.readingsPrefix}
              broker={state.broker}
              recent={session.figures.recent}
              now={now}
              fault={fault("readings")}
              session={session}
            />
            {state.mesh?.enabled === true && (
              <VisitPanel
                visit={props.visit}
                mesh={state.mesh}
                agents={state.fleet?.agents ?? []}
                version={state.device?.version ?? ""}
                browserNow={browserNow}
              />
            )}
          </div>
          <div class="column">
            <UplinksPanel
              uplinks={state.uplinks}
              freshAtMs={state.freshAtMs ?? browserNow}
              browserNow={browserNow}
              fault={fault("uplinks")}
            />
            <MeshPanel
              mesh={state.mesh}
              peers={state.peers}
              atMs={state.fleet?.atMs ?? browserNow}
              browserNow={browserNow}
              fault={fault("mesh") ?? fault("neighbours")}
            />
            {state.mesh?.enabled === true && (
              <RolesPanel
                roles={state.roles?.answer}
                atMs={state.roles?.atMs ?? browserNow}
                browserNow={browserNow}
                fault={fault("roles")}
              />
            )}
            {state.consensus?.enabled === true && (
              <CommitteePanel consensus={state.consensus} fault={fault("committee")} />
            )}
            <PowerPanel power={state.power} now={now} fault={fault("power")} />
            {state.queue !== undefined && state.queue.deadLetters > 0 && (
              <DeadLettersPanel
                letters={state.deadLetters}
                total={state.queue.deadLetters}
                bytes={state.queue.deadLetterBytes}
                now={now}
                busy={state.busy !== undefined}
                mayOperate={mayOperate}
                fault={fault("dead letters")}
                session={session}
              />
            )}
            <EventsPanel events={state.events} now={now} fault={fault("events")} />
          </div>
        </div>
      </main>
      <div class="notices" role="status" aria-live="polite">
        {state.notice !== undefined && (
          <p class={`notice ${state.notice.kind}`}>
            {state.notice.text}
            <button
              class="button quiet"
              type="button"
              onClick={() => props.store.set({ notice: undefined })}
            >
              Close
            </button>
          </p>
        )}
      </div>
    </>
  );
}
