import { readFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { EmbeddedBroker } from "../../src/platform/mqtt/embedded-broker.ts";
import { brokerMemory } from "../support/broker-state.ts";
import { keptLog } from "../support/kept-log.ts";
import { type PahoRun, pahoClients, runPaho, writePahoDriver } from "../support/paho.ts";

/** What `docs/mqtt-conformance.md` says of one test of Paho's. */
interface Verdict {
  readonly version: "3.1.1" | "5";
  readonly name: string;
  readonly passes: boolean;
}

/** Rows look like `| 5 | test_basic | pass | |`. */
function verdicts(): Verdict[] {
  const page = readFileSync(join(import.meta.dirname, "../../docs/mqtt-conformance.md"), "utf8");
  const rows = page.matchAll(/^\| (3\.1\.1|5) +\| `(\w+)` +\| (pass|fail) +\|(.*)\|$/gm);
  return [...rows].map(([, version, name = "", verdict, cause = ""]) => {
    if (verdict === "fail" && cause.trim() === "") throw new Error(`${name} fails without a cause`);
    return { version: version === "5" ? "5" : "3.1.1", name, passes: verdict === "pass" };
  });
}

/** Several of Paho's tests wait for fixed times: a busy machine may need another attempt. */
const ATTEMPTS_MAX = 3;
const AT_ONCE = 6;

async function startBroker(t: Test): Promise<{ broker: EmbeddedBroker; port: number }> {
  const broker = new EmbeddedBroker({
    host: "127.0.0.1",
    port: 0,
    clientsMax: 100,
    packetBytesMax: 1_048_576,
    receiveMaximum: 1_024,
    outboundBytesMax: 4_194_304,
    memory: brokerMemory(),
    logger: keptLog(),
  });
  t.teardown(() => broker.stop());
  await broker.start((_, settle) => settle());
  return { broker, port: Number(new URL(broker.status().url).port) };
}

t.test("the page names Paho's tests, and the cause of every failure", async (t) => {
  const listed = verdicts();
  t.equal(listed.filter(({ version }) => version === "3.1.1").length, 11);
  t.equal(listed.filter(({ version }) => version === "5").length, 27);
});

const clients = pahoClients();
t.test(
  "Eclipse Paho's conformance clients find what the page says",
  "missing" in clients ? { skip: clients.missing } : { timeout: 840_000 },
  async (t) => {
    if ("missing" in clients) return;
    const driver = writePahoDriver(t.testdir());
    const waiting = verdicts();
    const work = async (): Promise<void> => {
      for (let test = waiting.shift(); test !== undefined; test = waiting.shift()) {
        const wanted = test.passes ? "passed" : "failed";
        let run: PahoRun = { outcome: "not run", said: "" };
        for (let attempt = 0; attempt < ATTEMPTS_MAX && run.outcome !== wanted; attempt++) {
          // A broker of its own: what one test leaves behind is no business of the next.
          const { broker, port } = await startBroker(t);
          run = await runPaho(clients.directory, driver, test, port);
          await broker.stop();
          // One that is said to fail and passes must not be tried until it fails.
          if (run.outcome === "passed") break;
        }
        t.equal(run.outcome, wanted, `MQTT ${test.version} ${test.name}`, { said: run.said });
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  },
);
