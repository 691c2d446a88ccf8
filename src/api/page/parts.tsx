import type { ComponentChildren } from "preact";
import type { Quantity } from "./format.ts";
import type { Tone } from "./verdict.ts";

/** A titled region of the page. `fault`: the agent answered with an error for this part. */
export function Panel(props: {
  id: string;
  title: string;
  aside?: ComponentChildren;
  fault?: string | undefined;
  children: ComponentChildren;
}) {
  return (
    <section class="panel" id={props.id} aria-labelledby={`${props.id}-title`}>
      <header class="panel-head">
        <h2 id={`${props.id}-title`}>{props.title}</h2>
        {props.aside !== undefined && <div class="panel-aside">{props.aside}</div>}
      </header>
      {props.fault !== undefined && <p class="alert">{props.fault}</p>}
      {props.children}
    </section>
  );
}

/** A figure with its unit set smaller. */
export function Amount(props: { of: Quantity }) {
  return (
    <span class="amount">
      {props.of.figure}
      {props.of.unit !== "" && <span class="unit">{`\u00a0${props.of.unit}`}</span>}
    </span>
  );
}

/** A label over a value; several of them make a `<dl class="facts">`. */
export function Fact(props: { label: string; tone?: Tone; children: ComponentChildren }) {
  return (
    <div class={props.tone === undefined ? "fact" : `fact ${props.tone}`}>
      <dt>{props.label}</dt>
      <dd>{props.children}</dd>
    </div>
  );
}

/** A state in one word. */
export function Tag(props: { tone: Tone; children: ComponentChildren }) {
  return <span class={`tag ${props.tone}`}>{props.children}</span>;
}

/** A share of a whole as a bar. `label` names it for those who cannot see it. */
export function Meter(props: { share: number; label: string; text: string; tone?: Tone }) {
  const percent = Math.max(0, Math.min(100, props.share * 100));
  return (
    <div
      class={`meter ${props.tone ?? "plain"}`}
      role="meter"
      aria-label={props.label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(percent)}
      aria-valuetext={props.text}
    >
      <div class="meter-fill" style={{ width: percent === 0 ? "0" : `max(2px, ${percent}%)` }} />
    </div>
  );
}

/** What stands where there is nothing to show yet, and what to do about it. */
export function Empty(props: { children: ComponentChildren }) {
  return <div class="empty">{props.children}</div>;
}
