/** What `agent-mesh simulate` was asked for. */
export interface SimulateOptions {
  readonly agents?: number;
  readonly hours?: number;
  readonly intensity?: number;
  readonly seed?: string;
  readonly seeds?: number;
  readonly jobs: number;
  readonly scenario: string;
  readonly faults?: readonly number[];
  readonly failFast?: true;
  readonly shrink: boolean;
  readonly verify?: true;
  readonly report?: string;
  readonly json?: true;
}
