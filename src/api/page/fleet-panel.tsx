import type { TargetedInputEvent } from "preact";
import { useState } from "preact/hooks";
import { capitalized, formatCount, formatDuration, formatPercent } from "./format.ts";
import { ToneIcon } from "./icons.tsx";
import { countWords, evidenceWords, matchesSearch, STATES } from "./mesh-text.ts";
import type { FleetAgent } from "./model.ts";
import type { PageState } from "./page-state.ts";
import { Empty, Panel, Tag } from "./parts.tsx";
import { shortPeer } from "./peer-words.ts";
import type { Session } from "./session.ts";

const ROWS_STEP = 25;
/** Up to this many one sees without searching. */
const SEARCH_FROM = 10;

/** Every agent that this one knows of, those in trouble first. */
export function FleetPanel(props: {
  fleet: NonNullable<PageState["fleet"]>;
  search: string;
  browserNow: number;
  fault: string | undefined;
  session: Session;
}) {
  const { fleet, search, session } = props;
  const [shown, setShown] = useState(ROWS_STEP);
  const { counts } = fleet;
  const total = counts.alive + counts.suspect + counts.dead + counts.left;
  const matching = fleet.agents.filter((agent) => matchesSearch(agent, search));
  return (
    <Panel
      id="fleet"
      title="Fleet"
      fault={props.fault}
      aside={
        <>
          <span>{countWords(counts)}</span>
          {(total > SEARCH_FROM || search !== "") && (
            <input
              type="search"
              value={search}
              aria-label="Search agents"
              placeholder="Search agents"
              spellcheck={false}
              onInput={(event: TargetedInputEvent<HTMLInputElement>) =>
                session.searchFleet(event.currentTarget.value)
              }
            />
          )}
        </>
      }
    >
      {matching.length === 0 ? (
        <Empty>{search === "" ? "No agent is known yet." : "No agent matches."}</Empty>
      ) : (
        <table class="fleet">
          <thead>
            <tr>
              <th scope="col">Agent</th>
              <th scope="col">State</th>
              <th scope="col">Power</th>
              <th scope="col">Uplink</th>
              <th scope="col" class="number">
                Waiting
              </th>
              <th scope="col" class="number">
                Version
              </th>
            </tr>
          </thead>
          <tbody>
            {matching.slice(0, shown).map((agent) => (
              <Row
                key={agent.peerId ?? agent.agentId}
                agent={agent}
                sinceAnswerMs={Math.max(0, props.browserNow - fleet.atMs)}
              />
            ))}
          </tbody>
        </table>
      )}
      {total > ROWS_STEP && (
        <p class="more">
          <span>{`${formatCount(Math.min(shown, matching.length))} of ${formatCount(total)} agents`}</span>
          {shown < matching.length && (
            <button class="button" type="button" onClick={() => setShown(shown + ROWS_STEP)}>
              Show more
            </button>
          )}
        </p>
      )}
    </Panel>
  );
}

function Row({ agent, sinceAnswerMs }: { agent: FleetAgent; sinceAnswerMs: number }) {
  const { word, tone } = STATES[agent.state];
  const { health, capabilities } = agent;
  const browser = capabilities?.features.includes("browser") === true;
  const gone = agent.state === "dead" || agent.state === "left";
  return (
    <tr class={gone ? "gone" : ""}>
      <th scope="row" class="agent">
        <span class="agent-name">
          {agent.agentId}
          {agent.self && <Tag tone="idle">This agent</Tag>}
          {browser && <Tag tone="idle">Browser</Tag>}
        </span>
        <small>
          {capabilities?.deviceModel !== undefined && `${capabilities.deviceModel} `}
          {agent.peerId !== undefined && (
            <code title={agent.peerId}>{shortPeer(agent.peerId)}</code>
          )}
        </small>
      </th>
      <td class="state">
        <span class="state-word">
          <ToneIcon tone={tone} />
          {word}
        </span>
        <small>{`for ${formatDuration(agent.forMs + sinceAnswerMs)}`}</small>
        {!agent.self && <small class="evidence">{evidenceWords(agent, sinceAnswerMs)}</small>}
      </td>
      <td class="power">
        {browser ? <span class="muted">–</span> : capitalized(health?.powerMode || "–")}
        {supplyWords(agent) !== "" && <small>{supplyWords(agent)}</small>}
      </td>
      <td class="uplink-state">
        {browser || health?.uplinkUp === undefined ? (
          <span class="muted">{browser ? "–" : "None"}</span>
        ) : (
          <span class={health.uplinkUp ? "" : "bad"}>{health.uplinkUp ? "Up" : "Down"}</span>
        )}
      </td>
      <td class="number waiting">
        {health?.queueUpdates === undefined ? "–" : formatCount(health.queueUpdates)}
      </td>
      <td class="number version">{agent.version}</td>
    </tr>
  );
}

function supplyWords({ health, capabilities }: FleetAgent): string {
  if (health?.batteryPercent !== undefined)
    return `battery ${formatPercent(health.batteryPercent)}`;
  const supply = capabilities?.powerSupply ?? "unknown";
  return supply === "unknown" ? "" : supply;
}
