import type { TargetedSubmitEvent } from "preact";
import { useState } from "preact/hooks";
import { Mark } from "./icons.tsx";

/** What cannot be a token at all; the browser would refuse to send it and call that a network failure. */
function slipIn(token: string): string | undefined {
  if (token === "") return "Paste a token first.";
  if (/^[\x21-\x7e]+$/.test(token)) return undefined;
  return "This is not a token: it holds blanks or characters that no token has.";
}

/** Asks for a token, and tells where the first one is. */
export function SignIn(props: {
  refusal: string | undefined;
  onSignIn: (token: string, remember: boolean) => void;
}) {
  const [slip, setSlip] = useState<string>();

  function submit(event: TargetedSubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const entered = form.get("token");
    const token = typeof entered === "string" ? entered.trim().replace(/^Bearer\s+/i, "") : "";
    const wrong = slipIn(token);
    setSlip(wrong);
    if (wrong === undefined) props.onSignIn(token, form.get("remember") !== null);
  }

  const problem = slip ?? props.refusal;
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
