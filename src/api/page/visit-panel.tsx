import type { TargetedSubmitEvent } from "preact";
import type { BrowserNode } from "../../mesh/browser-contract.ts";
import { formatAge, formatCount } from "./format.ts";
import { ToneIcon } from "./icons.tsx";
import { countWords, trafficLine } from "./mesh-text.ts";
import { type MeshVisit, NOTE_LENGTH_MAX, type VisitState } from "./mesh-visit.ts";
import type { FleetAgent, Mesh } from "./model.ts";
import { Empty, Fact, Panel } from "./parts.tsx";
import { shortPeer, transportWord } from "./peer-words.ts";
import { useStore } from "./use-store.ts";

/** The mesh as it talks, heard by a node in this very browser. */
export function VisitPanel(props: {
  visit: MeshVisit;
  mesh: Mesh;
  agents: readonly FleetAgent[];
  version: string;
  browserNow: number;
}) {
  const { visit, mesh, version } = props;
  const state = useStore(visit.store);
  const { phase } = state.visit;
  return (
    <Panel
      id="visit"
      title="Live mesh traffic"
      aside={
        phase === "joined" && (
          <button class="button small" type="button" onClick={() => void visit.leave()}>
            Leave
          </button>
        )
      }
    >
      {state.visit.phase === "joined" ? (
        <Joined state={state} node={state.visit.node} {...props} />
      ) : (
        <>
          {state.visit.phase === "away" && state.visit.reason !== undefined && (
            <p class="alert" role="alert">
              {state.visit.reason}
            </p>
          )}
          <Empty>
            <p>
              This browser can be a member of the mesh itself: it links to the agent, hears what the
              fleet tells, and is listed as an agent until it leaves.
            </p>
            <p>
              <button
                class="button"
                type="button"
                disabled={phase !== "away"}
                onClick={() => void visit.join(mesh, version)}
              >
                {phase === "joining"
                  ? "Joining…"
                  : phase === "leaving"
                    ? "Leaving…"
                    : "Join from this browser"}
              </button>
            </p>
          </Empty>
        </>
      )}
    </Panel>
  );
}

function Joined(props: {
  state: VisitState;
  node: BrowserNode;
  visit: MeshVisit;
  agents: readonly FleetAgent[];
  browserNow: number;
}) {
  const { node, state, visit } = props;
  const { links, members, received, sent, unreadable } = node.status();
  const nameOf = (peer: string, agentId: string | undefined) =>
    agentId ?? props.agents.find(({ peerId }) => peerId === peer)?.agentId ?? shortPeer(peer);
  return (
    <>
      <dl class="facts">
        <Fact label="This browser">
          {node.agentId}
          <small class="peer-id">{node.peerId}</small>
        </Fact>
        <Fact label="Linked to" {...(links.length === 0 && { tone: "bad" as const })}>
          {links.length === 0
            ? "Nobody; trying again"
            : links
                .map(
                  (link) => `${nameOf(link.peer, link.agentId)} (${transportWord(link.transport)})`,
                )
                .join(", ")}
          {links.length === 0 && (
            <small>
              Where <code>mesh.access.mode</code> is <code>granted</code>, the peer id on the left
              needs a grant.
            </small>
          )}
        </Fact>
        <Fact label="Fleet as heard here">{countWords(members)}</Fact>
        <Fact label="Messages">
          {`${formatCount(received)} heard, ${formatCount(sent)} sent`}
          {unreadable > 0 && <small>{`${formatCount(unreadable)} could not be read`}</small>}
        </Fact>
      </dl>
      <NoteForm visit={visit} fault={state.fault} />
      {state.traffic.length === 0 ? (
        <Empty>Nothing was said yet.</Empty>
      ) : (
        <ol class="events traffic" tabIndex={0} aria-label="Mesh traffic, newest first">
          {state.traffic.map(({ id, item }) => {
            const { tone, title, detail } = trafficLine(item);
            return (
              <li key={id}>
                <ToneIcon tone={tone} />
                <div>
                  <p class="event-title">
                    <span class="author" title={item.peer}>
                      {item.peer === node.peerId ? "You" : nameOf(item.peer, item.agentId)}
                    </span>
                    {title}
                  </p>
                  {detail !== "" && <p class="event-detail">{detail}</p>}
                </div>
                <time>{formatAge(props.browserNow - item.atMs)}</time>
              </li>
            );
          })}
        </ol>
      )}
    </>
  );
}

function NoteForm({ visit, fault }: { visit: MeshVisit; fault: string | undefined }) {
  function submit(event: TargetedSubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = event.currentTarget;
    const text = new FormData(form).get("note");
    form.reset();
    if (typeof text === "string") void visit.say(text);
  }
  return (
    <form class="note" onSubmit={submit}>
      <label for="note">Note to everybody who watches</label>
      <input
        id="note"
        name="note"
        type="text"
        maxLength={NOTE_LENGTH_MAX}
        autocomplete="off"
        placeholder="Hello"
      />
      <button class="button" type="submit">
        Send
      </button>
      {fault !== undefined && (
        <p class="alert" role="alert">
          {fault}
        </p>
      )}
    </form>
  );
}
