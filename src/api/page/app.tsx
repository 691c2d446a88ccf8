import { useEffect, useState } from "preact/hooks";
import type { BrowserNodeModule } from "../../mesh/browser-contract.ts";
import { AgentClient } from "./agent-client.ts";
import { Dashboard } from "./dashboard.tsx";
import { MeshVisit } from "./mesh-visit.ts";
import { INITIAL_STATE, type PageState } from "./page-state.ts";
import { Session } from "./session.ts";
import { SignIn } from "./sign-in.tsx";
import { createStore } from "./store.ts";
import { forgetToken, loadToken, saveToken } from "./token-vault.ts";

/** The agent says something at least every 15 s, so three silences mean that the stream is dead. */
const SILENCE_MAX_MS = 45_000;
const REQUEST_TIMEOUT_MS = 8000;

/** Beside this module, and no part of it: most who look at the page never join. */
const NODE_MODULE = "./browser-node.js";

function openSession(token: string) {
  const store = createStore<PageState>(INITIAL_STATE);
  const client = new AgentClient({
    baseUrl: "",
    token,
    fetch: (input, init) => fetch(input, init),
    newKey,
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
    silenceMaxMs: SILENCE_MAX_MS,
  });
  const surroundings = { random: Math.random, hidden: () => document.hidden };
  const visit = new MeshVisit({
    place: location,
    storage: sessionStorage,
    load: () => import(NODE_MODULE) as Promise<BrowserNodeModule>,
  });
  return { store, session: new Session(client, store, surroundings), visit };
}

/** `crypto.randomUUID` exists only over TLS or on localhost; a device is often reached by plain HTTP. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The whole page: sign-in, or the dashboard of the agent that serves it. */
export function App() {
  const [token, setToken] = useState(loadToken);
  const [refusal, setRefusal] = useState<string>();

  function signIn(entered: string, remember: boolean) {
    saveToken(entered, remember);
    setRefusal(undefined);
    setToken(entered);
  }

  function signOut(reason?: string) {
    forgetToken();
    setRefusal(reason);
    setToken(undefined);
  }

  if (token === undefined) return <SignIn refusal={refusal} onSignIn={signIn} />;
  return <SignedIn key={token} token={token} onSignOut={signOut} />;
}

function SignedIn(props: { token: string; onSignOut: (reason?: string) => void }) {
  const [{ store, session, visit }] = useState(() => openSession(props.token));

  useEffect(() => {
    const unsubscribe = store.subscribe(() => {
      const { connection } = store.get();
      if (connection.phase === "refused") props.onSignOut(connection.reason);
    });
    void session.run();
    const look = () => session.retryNow();
    addEventListener("online", look);
    document.addEventListener("visibilitychange", look);
    const leave = () => void visit.leave();
    addEventListener("pagehide", leave);
    return () => {
      unsubscribe();
      session.stop();
      leave();
      removeEventListener("pagehide", leave);
      removeEventListener("online", look);
      document.removeEventListener("visibilitychange", look);
    };
  }, [store, session, visit]);

  return (
    <Dashboard store={store} session={session} visit={visit} onSignOut={() => props.onSignOut()} />
  );
}
