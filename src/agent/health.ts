/** One thing that must be well for the agent to be of use. */
export interface HealthCheck {
  readonly name: string;
  readonly ok: boolean;
  /** What is wrong and what to do about it; absent when ok. */
  readonly detail?: string;
}
