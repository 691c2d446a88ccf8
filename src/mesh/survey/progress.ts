/** How far a survey is. */
export interface SurveyProgress {
  readonly found: number;
  /** Estimated share of the fleet that was found, 0 to 1. */
  readonly coverage: number;
  /** Agents that were asked. */
  readonly asked: number;
  /** Agents that answered. */
  readonly answered: number;
  readonly requests: number;
  readonly bytes: number;
}
