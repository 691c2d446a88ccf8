import type { TargetedSubmitEvent } from "preact";
import { useState } from "preact/hooks";
import { Mark } from "./icons.tsx";

/** Asks for a token, and tells where the first one is. */
export function SignIn(props: {
  refusal: string | undefined;
  onSignIn: (token: string, remember: boolean) => void;
}) {
  const [missing, setMissing] = useState(false);

  function submit(event: TargetedSubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const entered = form.get("token");
    const token = typeof entered === "string" ? entered.trim() : "";
    setMissing(token === "");
    if (token !== "") props.onSignIn(token, form.get("remember") !== null);
  }

  const problem = missing ? "Paste a token first." : props.refusal;
  return (
    <main class="sign-in">
      <form class="sign-in-form" onSubmit={submit} noValidate>
        <p class="brand">
          <Mark /> Agent Mesh
        </p>
        <h1>Sign in to this device</h1>
        {problem !== undefined && (
          <p class="alert" role="alert" id="sign-in-problem">
            {problem}
          </p>
        )}
        <label for="token">Access token</label>
        <input
          id="token"
          name="token"
          type="password"
          autocomplete="off"
          spellcheck={false}
          placeholder="am_…"
          aria-describedby={problem === undefined ? "token-help" : "sign-in-problem token-help"}
          aria-invalid={problem !== undefined}
          autofocus
        />
        <label class="check">
          <input name="remember" type="checkbox" /> Remember on this device
        </label>
        <button class="button primary" type="submit">
          Sign in
        </button>
        <div class="help" id="token-help">
          <p>
            The first token is on the device, in <code>admin.token</code> in the agent’s data
            directory:
          </p>
          <pre>
            <code>cat data/admin.token</code>
          </pre>
          <p>
            Make narrower ones with <code>agent-mesh token create</code>. A token is kept until this
            tab closes, unless you ask to remember it.
          </p>
        </div>
      </form>
    </main>
  );
}
