// What the settings of the bridge allow each and do not allow together.
import t from "tap";
import { ConfigError, resolveConfig } from "../../../src/config/resolve.ts";

const on = { mesh: { enabled: true } };
const gateway = { name: "cloud", url: "grpcs://gateway.example:5001", tokenFile: "/t" };

function faultsOf(document: object): readonly string[] {
  try {
    resolveConfig({ file: { name: "x.yaml", document } });
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
}

t.test("what can be used", async (t) => {
  const tls = { certFile: "/c", keyFile: "/k" };
  for (const bridge of [
    {},
    { listen: { enabled: true } },
    { listen: { enabled: true, host: "::1" } },
    { listen: { enabled: true, host: "0.0.0.0", tls } },
    { connect: [gateway] },
    { connect: [{ name: "near", url: "grpc://127.0.0.1:5001", tokenFile: "/t" }] },
    { connect: [{ name: "known", url: "grpcs://gateway:5001", tls }] },
  ])
    t.same(faultsOf({ ...on, bridge }), [], JSON.stringify(bridge));
  t.same(faultsOf({ bridge: { topicsUp: [{ filter: "a" }] } }), [], "off, it needs no mesh");
});

t.test("what can not, and what to do about it", async (t) => {
  const connect = (more: object) => ({ ...on, bridge: { connect: [{ ...gateway, ...more }] } });
  const table: [document: object, told: RegExp][] = [
    [{ bridge: { listen: { enabled: true } } }, /bridge\.listen\.enabled needs the mesh.*mesh\.en/],
    [{ bridge: { connect: [gateway] } }, /bridge\.connect needs the mesh/],
    [{ ...on, bridge: { listen: { enabled: true, host: "0.0.0.0" } } }, /bridge\.listen\.tls/],
    [connect({ url: "grpcs://gateway.example" }), /connect\.0\.url .* a host and a port/],
    [connect({ url: "http://gateway.example:1" }), /url/],
    [connect({ url: "grpc://gateway.example:5001" }), /tokenFile.*grpcs:\/\/ only/],
    [
      connect({ url: "grpc://127.0.0.1:5001", tls: { caFile: "/ca" } }),
      /connect\.0\.tls needs a URL that begins with grpcs/,
    ],
    [connect({ tls: { certFile: "/c" } }), /certFile and keyFile go together/],
    [connect({ tokenFile: undefined }), /neither tokenFile nor tls\.certFile/],
    [
      { ...on, bridge: { connect: [gateway, gateway] } },
      /connect\.1\.name "cloud" is taken by bridge\.connect\.0/,
    ],
    [{ bridge: { retryMinMs: 2_000, retryMaxMs: 1_000 } }, /retryMaxMs/],
    [{ bridge: { timeoutMs: 700_000 } }, /timeoutMsMax/],
    [{ bridge: { topicsUp: [{ filter: "a/#/b" }] } }, /bridge\.topicsUp\.0\.filter.*# stands/],
    [{ bridge: { topicsDown: [{ filter: "a+" }] } }, /bridge\.topicsDown\.0\.filter/],
  ];
  for (const [document, told] of table) {
    const faults = faultsOf(document);
    t.equal(faults.length, 1, JSON.stringify(faults));
    t.match(faults[0], told);
  }
});
