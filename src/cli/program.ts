import { Command } from "commander";
import type { Installation } from "../platform/node/installation.ts";
import { registerBridge } from "./bridge.ts";
import { registerConfig } from "./config.ts";
import { registerConsensus } from "./consensus.ts";
import { registerDevice } from "./device.ts";
import { registerDoctor } from "./doctor.ts";
import { registerFleet } from "./fleet.ts";
import { registerLearn } from "./learn.ts";
import { registerMesh } from "./mesh.ts";
import { registerMqtt } from "./mqtt.ts";
import { registerQueue } from "./queue.ts";
import { registerReceive } from "./receive.ts";
import { registerRelay } from "./relay.ts";
import { registerRoles } from "./roles.ts";
import { registerRun } from "./run.ts";
import { registerSimulate } from "./simulate.ts";
import { registerStatus } from "./status.ts";
import { registerTask } from "./task.ts";
import { registerToken } from "./token.ts";
import { registerTrail } from "./trail.ts";

/** @returns the whole command line, ready to parse. */
export function createProgram(installation: Installation): Command {
  const program = new Command("agent-mesh")
    .description(
      "An agent for edge devices: readings are on disk before they are acknowledged, and reach the fleet in order, once.",
    )
    .version(installation.version, "-V, --version", "print the version")
    .showHelpAfterError("(add --help for what is possible)")
    .showSuggestionAfterError();
  registerRun(program, installation);
  registerReceive(program);
  registerStatus(program);
  registerDoctor(program, installation);
  registerDevice(program);
  registerQueue(program);
  registerFleet(program);
  registerMesh(program);
  registerRoles(program);
  registerTask(program);
  registerTrail(program);
  registerConsensus(program);
  registerRelay(program);
  registerBridge(program);
  registerConfig(program);
  registerToken(program);
  registerMqtt(program);
  registerLearn(program);
  registerSimulate(program);
  program
    .command("version")
    .description("print the version of the agent and what it runs on")
    .option("--json", "print JSON")
    .action(({ json }: { json?: true }) => {
      const { version } = installation;
      const about = { version, node: process.versions.node, architecture: process.arch };
      const text =
        json === true
          ? JSON.stringify(about)
          : `agent-mesh ${version} (Node.js ${about.node}, ${about.architecture})`;
      process.stdout.write(`${text}\n`);
    });
  return program;
}
