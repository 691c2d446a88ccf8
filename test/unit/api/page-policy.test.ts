import * as fc from "fast-check";
import t from "tap";
import { pageDocumentHeaders } from "../../../src/api/security-headers.ts";

const PEER = "/p2p/12D3KooWAgent";

function connectSources(host: string | undefined, addresses: readonly string[]): string[] {
  const policy = pageDocumentHeaders(host, addresses)["content-security-policy"];
  return /connect-src ([^;]*)/.exec(policy)?.[1]?.split(" ") ?? [];
}

t.test("the page may open sockets to its agent's node and nowhere else", async (t) => {
  const addresses = [
    `/ip4/127.0.0.1/tcp/4001${PEER}`,
    `/ip4/127.0.0.1/tcp/4002/ws${PEER}`,
    `/ip4/192.168.7.5/tcp/4002/ws${PEER}`,
    `/ip4/127.0.0.1/udp/4001/quic-v1${PEER}`,
    `/dns4/hub.example/tcp/4002/ws${PEER}/p2p-circuit${PEER}`,
  ];
  t.same(connectSources("192.168.7.5:8080", addresses), ["'self'", "ws://192.168.7.5:4002"]);
  t.same(connectSources("pi.example", addresses), ["'self'", "ws://pi.example:4002"]);
  t.same(connectSources("pi.example", [`/dns4/x.example/tcp/443/wss${PEER}`]), [
    "'self'",
    "wss://x.example:443",
  ]);
  t.same(connectSources("pi.example", [`/dns4/x.example/tcp/443/tls/ws${PEER}`]), [
    "'self'",
    "wss://x.example:443",
  ]);
  t.same(connectSources("pi.example:8080", []), [], "mesh off: nothing beyond its own origin");
  t.same(connectSources("[fd00::5]:8080", addresses), [], "no policy can name an IPv6 address");
  const many = Array.from({ length: 40 }, (_, at) => `/ip4/127.0.0.1/tcp/${5_000 + at}/ws${PEER}`);
  t.equal(connectSources("pi", many).length, 9);
});

t.test("no Host header and no address can add to the policy", async () => {
  const piece = fc.oneof(
    fc.string(),
    fc.constantFrom("*", "; script-src *", "a b", "a,b", "'unsafe-inline'", "x\r\ny: z", "é"),
  );
  fc.assert(
    fc.property(piece, piece, (host, name) => {
      const policy = pageDocumentHeaders(host, [
        `/ip4/127.0.0.1/tcp/4002/ws${PEER}`,
        `/dns4/${name}/tcp/443/wss${PEER}`,
      ])["content-security-policy"];
      const [base, ...connect] = policy.split("; connect-src ");
      return (
        base ===
          "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" &&
        connect.length <= 1 &&
        connect.every((sources) =>
          /^'self'( wss?:\/\/[A-Za-z0-9][A-Za-z0-9.-]*:\d{1,5})+$/.test(sources),
        )
      );
    }),
  );
});
