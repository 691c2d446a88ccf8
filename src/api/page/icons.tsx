import type { Tone } from "./verdict.ts";

/** The product's mark: three agents, linked. */
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <path d="M9 22 16 9l7 13M12.2 16.2h7.6" />
      <circle cx="16" cy="9" r="3.6" />
      <circle cx="9" cy="22.5" r="3.6" />
      <circle cx="23" cy="22.5" r="3.6" />
    </svg>
  );
}

const SHAPES: Readonly<Record<Tone, string>> = {
  good: "M4.5 8.5 7 11l4.5-5.5",
  warn: "M8 4.2v4.6M8 11.4v.2",
  bad: "M5.2 5.2l5.6 5.6M10.8 5.2l-5.6 5.6",
  idle: "M5 8h6",
};

/** A state as shape and colour, so that colour alone never carries it. */
export function ToneIcon(props: { tone: Tone }) {
  return (
    <svg class={`tone-icon ${props.tone}`} viewBox="0 0 16 16" aria-hidden="true">
      <circle cx="8" cy="8" r="7.5" />
      <path d={SHAPES[props.tone]} />
    </svg>
  );
}
