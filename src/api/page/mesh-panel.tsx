import { formatCount, formatDuration } from "./format.ts";
import { ToneIcon } from "./icons.tsx";
import { partitionWords, STATES } from "./mesh-text.ts";
import type { MeshPeer } from "./model.ts";
import type { PageState } from "./page-state.ts";
import { Empty, Panel } from "./parts.tsx";
import { directionWords, shortPeer, transportWord, withoutPeer } from "./peer-words.ts";

const FAULTS_SHOWN = 3;

/** Who is linked to this agent, and what keeps others from it. */
export function MeshPanel(props: {
  mesh: PageState["mesh"];
  peers: readonly MeshPeer[];
  atMs: number;
  browserNow: number;
  fault: string | undefined;
}) {
  const { mesh, peers } = props;
  if (mesh?.enabled === false)
    return (
      <Panel id="mesh" title="Mesh" fault={props.fault}>
        <Empty>
          <p>
            The mesh is off, so this agent knows no neighbours. Switch it on with{" "}
            <code>mesh.enabled: true</code>.
          </p>
        </Empty>
      </Panel>
    );
  const faulty = mesh?.bootstrap.filter(({ fault }) => fault !== undefined) ?? [];
  const split = partitionWords(mesh?.partitionScore ?? 0);
  return (
    <Panel
      id="mesh"
      title="Neighbours"
      fault={props.fault}
      aside={mesh !== undefined && `${formatCount(mesh.links)} linked`}
    >
      {split !== undefined && <p class="caution">{split}</p>}
      {faulty.slice(0, FAULTS_SHOWN).map(({ address, fault, attempts }) => (
        <p class="caution" key={address}>
          <code>{address}</code>
          {` did not answer in ${formatCount(attempts)} ${attempts === 1 ? "attempt" : "attempts"}: ${fault ?? ""}`}
        </p>
      ))}
      {mesh === undefined && <Empty>Nothing known yet.</Empty>}
      {mesh !== undefined && peers.length === 0 && (
        <Empty>
          <p>
            <strong>No other agent is linked.</strong> One on the same network finds this one by
            itself when <code>mesh.host</code> lets the network in; name others in{" "}
            <code>mesh.bootstrap</code>.
          </p>
        </Empty>
      )}
      <ul class="peers">
        {peers.map((peer) => (
          <li key={peer.peerId}>
            <ToneIcon tone={peer.state === undefined ? "idle" : STATES[peer.state].tone} />
            <div>
              <p class="peer-name" title={peer.peerId}>
                {peer.agentId ?? `Node ${shortPeer(peer.peerId)}`}
              </p>
              <p class="peer-address">{withoutPeer(peer.address)}</p>
            </div>
            <p class="peer-link">
              {transportWord(peer.transport)}, {directionWords(peer.direction)}
              <small>{`for ${formatDuration(peer.linkedForMs + Math.max(0, props.browserNow - props.atMs))}`}</small>
            </p>
          </li>
        ))}
      </ul>
      {mesh !== undefined && mesh.links > peers.length && (
        <p class="muted">{`${formatCount(mesh.links - peers.length)} more are linked.`}</p>
      )}
    </Panel>
  );
}
