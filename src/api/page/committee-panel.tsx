import { formatCount } from "./format.ts";
import type { CommitteeMember, Consensus, RoleHolder } from "./model.ts";
import { Empty, Panel, Tag } from "./parts.tsx";
import { shortPeer } from "./peer-words.ts";

const STANDINGS: Readonly<Record<string, string>> = {
  leading: "leads",
  following: "follows the leader",
  electing: "looks for a leader",
  learning: "about to be a member",
  left: "no member any more",
  lost: "lost what it had promised, and waits to be taken out",
};

const FITNESS: Readonly<Record<string, string>> = {
  gone: "Gone",
  unfit: "On battery, or not well",
  lost: "Lost its promises",
};

/** The committee of the fleet: who is in it, who leads, and this agent's seat. */
export function CommitteePanel(props: {
  consensus: Consensus | undefined;
  fault: string | undefined;
}) {
  const { consensus } = props;
  const { committee, seat, standing } = consensus ?? {};
  return (
    <Panel
      id="committee"
      title="Committee"
      fault={props.fault}
      aside={seat !== undefined && `Term ${formatCount(seat.term)}`}
    >
      {consensus !== undefined && committee === undefined && (
        <Empty>
          <p>
            No committee is known yet. The coordinator founds one when enough agents on mains are
            there.
          </p>
        </Empty>
      )}
      {seat?.standing === "electing" && (
        <p class="caution">Nobody leads, as far as this agent knows: nothing can be decided.</p>
      )}
      {standing === "lost" && (
        <p class="caution">
          This agent's disk lost what it had promised as a member. The others will take it out.
        </p>
      )}
      {committee !== undefined && (
        <dl class="roles">
          <dt>Leader</dt>
          <dd>
            {seat?.leader === undefined ? (
              <span class="muted">{seat === undefined ? "Members know" : "Nobody"}</span>
            ) : (
              <Named peer={seat.leader} />
            )}
          </dd>
          <dt>Members</dt>
          <dd>
            <ul class="holders">
              {committee.members.map((member) => (
                <li key={member.peerId} title={member.peerId}>
                  <Member member={member} />
                </li>
              ))}
            </ul>
            <small>
              {`${committee.protocol}: ${formatCount(committee.quorum)} of ${formatCount(committee.members.length)} decide`}
            </small>
          </dd>
          {seat !== undefined && (
            <>
              <dt>Decided</dt>
              <dd>{`up to ${formatCount(seat.position)} in its order`}</dd>
            </>
          )}
        </dl>
      )}
      {committee !== undefined && (
        <p class="muted">
          {`This agent: ${seat === undefined ? "no seat; it checks what is decided" : STANDINGS[seat.standing]}`}
        </p>
      )}
    </Panel>
  );
}

function Named({ peer }: { peer: RoleHolder }) {
  return (
    <span title={peer.peerId}>
      {peer.agentId ?? `Node ${shortPeer(peer.peerId)}`}
      {peer.self && <Tag tone="idle">This agent</Tag>}
    </span>
  );
}

function Member({ member }: { member: CommitteeMember }) {
  return (
    <>
      {member.agentId ?? `Node ${shortPeer(member.peerId)}`}
      {member.leads && <Tag tone="good">Leads</Tag>}
      {member.fitness !== "fit" && <Tag tone="warn">{FITNESS[member.fitness] ?? ""}</Tag>}
    </>
  );
}
