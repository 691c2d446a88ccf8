import { formatCount, formatDuration } from "./format.ts";
import type { RoleHolder, Roles } from "./model.ts";
import { Empty, Panel, Tag } from "./parts.tsx";
import { shortPeer } from "./peer-words.ts";
import { REASONS, roleWords } from "./role-words.ts";

/** Who leads the fleet, who checks and who aggregates, as this agent knows it. */
export function RolesPanel(props: {
  roles: Roles | undefined;
  atMs: number;
  browserNow: number;
  fault: string | undefined;
}) {
  const { roles } = props;
  const { self, assignment } = roles ?? {};
  const leader = assignment?.coordinator ?? assignment?.caretaker;
  return (
    <Panel
      id="roles"
      title="Roles"
      fault={props.fault}
      aside={assignment !== undefined && `Term ${formatCount(assignment.term)}`}
    >
      {roles?.enabled === false && (
        <Empty>
          <p>
            This agent keeps out of roles: <code>coordination.roles.enabled</code> is{" "}
            <code>false</code>.
          </p>
        </Empty>
      )}
      {roles?.enabled === true && assignment === undefined && (
        <p class="caution">
          Nobody leads. The most suitable agent on mains does in a few seconds, where there is one.
        </p>
      )}
      {assignment?.quorum === false && (
        <p class="caution">Nobody on mains is there, so the fleet can agree on nothing.</p>
      )}
      {assignment !== undefined && (
        <dl class="roles">
          <dt>{assignment.coordinator === undefined ? "Caretaker" : "Coordinator"}</dt>
          <dd>
            <Holders of={leader === undefined ? [] : [leader]} />
            <small>
              {`for ${formatDuration(assignment.ledForMs + Math.max(0, props.browserNow - props.atMs))}, ${REASONS[assignment.reason]}`}
            </small>
          </dd>
          <dt>Validators</dt>
          <dd>
            <Holders of={assignment.validators} />
          </dd>
          <dt>Aggregators</dt>
          <dd>
            <Holders of={assignment.aggregators} />
          </dd>
        </dl>
      )}
      {self !== undefined && <p class="muted">{`This agent: ${roleWords(self)}`}</p>}
    </Panel>
  );
}

function Holders({ of }: { of: readonly RoleHolder[] }) {
  if (of.length === 0) return <span class="muted">None</span>;
  return (
    <ul class="holders">
      {of.map(({ peerId, agentId, self }) => (
        <li key={peerId} title={peerId}>
          {agentId ?? `Node ${shortPeer(peerId)}`}
          {self && <Tag tone="idle">This agent</Tag>}
        </li>
      ))}
    </ul>
  );
}
