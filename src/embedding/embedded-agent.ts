import type { Agent } from "../agent/compose.ts";
import { LearningError } from "../federated/tasks/learning-error.ts";
import { Attachment } from "./attachment.ts";
import type { FederatedTask } from "./federated-task.ts";

/** How long a task of the same name is looked for before one is started. */
const LOOK_MS = 5_000;
/** Tasks that programs attach to one agent. */
const ATTACHED_MAX = 64;

/** How a task is attached. */
export interface AttachOptions {
  /** How long a task of that name is looked for in the fleet before one is started. Default: 5,000. */
  readonly lookMs?: number;
}

/** An agent in a program of one's own. */
export class EmbeddedAgent {
  /** Where it can be reached: REST, MQTT, mesh. */
  readonly info: Agent["info"];
  readonly agentId: string;
  readonly #agent: Agent;
  readonly #attached = new Map<FederatedTask, Attachment>();

  constructor(agent: Agent) {
    this.#agent = agent;
    this.info = agent.info;
    this.agentId = agent.context.agentId;
  }

  /**
   * Takes part in a task with what the program gives for it: in the fleet's task of that name, or in one that is started here when
   * none is heard of in time. Where several agents start one at the same time, the oldest goes on and the others are stopped.
   * @throws LearningError `learning.off` unless `learning.enabled`, `learning.spec` for what can not be learned, and where the fleet
   *   means something else by that name; `learning.busy` where it is attached already
   * @throws DataError where samples by that name are offered by another task
   */
  async attachTask(task: FederatedTask, { lookMs = LOOK_MS }: AttachOptions = {}): Promise<void> {
    const { context, programs } = this.#agent;
    if (programs === undefined)
      throw new LearningError(
        "learning.off",
        "this agent does not learn; set learning.enabled, consensus.enabled and mesh.enabled to true",
      );
    if (this.#attached.size >= ATTACHED_MAX)
      throw new LearningError("learning.full", `${ATTACHED_MAX} attached tasks at most`);
    const attachment = new Attachment({ ...context, programs }, task.definition);
    task.attachTo(attachment);
    this.#attached.set(task, attachment);
    try {
      await attachment.open(lookMs);
    } catch (error) {
      this.detachTask(task);
      throw error;
    }
  }

  /** Takes back what the program gave; the fleet goes on without. Nothing happens where it is not attached. */
  detachTask(task: FederatedTask): void {
    const attachment = this.#attached.get(task);
    if (attachment === undefined) return;
    this.#attached.delete(task);
    attachment.close();
    task.attachTo(undefined);
  }

  /**
   * Becomes part of the mesh of whoever is at one of these addresses.
   * @param addresses multiaddresses, as `info.mesh.addresses` of the other one
   * @throws NetworkError
   */
  async join(addresses: readonly string[]): Promise<void> {
    await this.#agent.context.mesh.join(addresses);
  }

  /** Stops the agent in order; what is queued and learned stays on disk. Idempotent. */
  async stop(): Promise<void> {
    for (const task of this.#attached.keys()) this.detachTask(task);
    await this.#agent.stop();
  }
}
