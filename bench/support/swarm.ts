import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Order, Report } from "../peers/swarm-nodes.ts";
import { root, until } from "./processes.ts";

/** A process with nodes of the mesh in it. */
export class NodeProcess {
  readonly child: ChildProcess;
  readonly reports: Report[] = [];
  #nodes: readonly { id: string; addresses: readonly string[] }[] = [];

  private constructor(child: ChildProcess) {
    this.child = child;
    child.on("message", (report: Report) => {
      this.reports.push(report);
      if (report.tells === "ready") this.#nodes = report.nodes;
    });
  }

  /** @param membersMax of each node's table; as by default unless given */
  static async start(directory: string, count: number, membersMax?: number): Promise<NodeProcess> {
    const settings = [directory, String(count)];
    if (membersMax !== undefined) settings.push(String(membersMax));
    const child = fork(join(root, "bench/peers/swarm-nodes.ts"), settings, {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      // As the agent itself is started.
      execArgv: ["--max-semi-space-size=4"],
    });
    const nodes = new NodeProcess(child);
    await until("nodes to be ready", () => nodes.#nodes[0]);
    return nodes;
  }

  get nodes(): readonly { id: string; addresses: readonly string[] }[] {
    return this.#nodes;
  }

  tell(order: Order): void {
    this.child.send(order);
  }

  /** @returns how many agents each of its nodes takes for alive */
  async counts(): Promise<readonly number[]> {
    const before = this.reports.length;
    this.tell({ do: "counts" });
    const report = await until("the counts", () =>
      this.reports.slice(before).find((one) => one.tells === "counts"),
    );
    return report.alive;
  }

  kill(): void {
    this.child.kill("SIGKILL");
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exited = once(this.child, "exit");
    this.tell({ do: "stop" });
    const timer = setTimeout(() => this.child.kill("SIGKILL"), 10_000);
    await exited;
    clearTimeout(timer);
  }
}

/** @returns reports of one kind, of all processes */
export function told<Kind extends Report["tells"]>(
  processes: readonly NodeProcess[],
  kind: Kind,
): Extract<Report, { tells: Kind }>[] {
  return processes.flatMap(({ reports }) =>
    reports.filter((report): report is Extract<Report, { tells: Kind }> => report.tells === kind),
  );
}
