// What the uplinks say on the wire: subjects, acknowledgements.
import { assert, property, string } from "fast-check";
import t from "tap";
import { envelope } from "../../../src/platform/mqtt/envelope.ts";
import { readPublishAck } from "../../../src/platform/nats/publish-ack.ts";
import { rangesOf } from "../../../src/platform/nats/stored-marks.ts";
import { headerValue, subjectOf, topicOf } from "../../../src/platform/nats/subject.ts";
import { outbound } from "../../conformance/uplink-connection.ts";

t.test("topics become subjects, and no two become the same", async (t) => {
  t.equal(subjectOf("fleet", "pi-1", "sensors/room/temp"), "fleet.pi-1.sensors.room.temp");
  t.equal(subjectOf("a.b", "pi.local", "x"), "a.b.pi%2Elocal.x");
  t.equal(subjectOf("f", "a", "/v1.0//50%/*/> \n"), "f.a.%.v1%2E0.%.50%25.%2A.%3E%20%0A");
  t.equal(subjectOf("f", "a", "küche"), "f.a.küche");
  const topic = string({ unit: "grapheme", minLength: 1 });
  assert(
    property(topic, (text) => {
      const subject = subjectOf("f", "a", text);
      t.equal(topicOf(subject.slice("f.a.".length)), text.toWellFormed());
      if (/[\s*>\p{Cc}]|\.\.|\.$/u.test(subject)) throw new Error(subject);
    }),
  );
  t.equal(topicOf("%zz"), "%zz");
});

t.test("header values stay on their line, and apart", async (t) => {
  t.equal(headerValue("agent-1/sensors/a/1"), "agent-1/sensors/a/1");
  t.equal(headerValue(" a\r\nNats-Msg-Id: b "), "%20a%0D%0ANats-Msg-Id: b%20");
  t.not(headerValue("a%20"), headerValue("a "));
});

t.test("acknowledgements are read as they are meant", async (t) => {
  t.same(readPublishAck(0, '{"stream":"S","seq":7}'), { kind: "stored", streamSequence: 7 });
  t.match(readPublishAck(0, '{"stream":"S","seq":7,"duplicate":true}'), { kind: "stored" });
  t.same(readPublishAck(503, ""), { kind: "nobody" });
  const error = (code: number) =>
    `{"error":{"code":400,"err_code":${code},"description":"why"},"seq":0}`;
  t.same(readPublishAck(0, error(10_054)), {
    kind: "refused",
    permanent: true,
    reason: "JetStream: why",
  });
  t.match(readPublishAck(0, error(10_077)), { kind: "refused", permanent: false });
  for (const text of ["", "7", "null", "{}", '{"seq":"7"}', '{"error":7}'])
    t.match(readPublishAck(0, text), { kind: "refused", permanent: false }, text);
});

t.test("sequences make ranges", async (t) => {
  t.same(rangesOf([]), []);
  t.same(rangesOf([3, 1, 2, 7, 5, 6]), [
    [1, 3],
    [5, 7],
  ]);
});

t.test("MQTT's envelope is what it was, and numbers keep their digits", async (t) => {
  const wrap = (contentType: string, payload: string | Buffer): string =>
    envelope(outbound(7, { contentType, payload: Buffer.from(payload), key: "lamp" })).toString();
  const head = (type: string): string =>
    `{"id":"agent-1/sensors/a/7","stream":"sensors/a","sequence":7,` +
    `"observedAt":"2026-11-22T00:00:00.000Z","observedAtTrusted":true,"contentType":"${type}",`;
  const cases: [type: string, payload: string | Buffer, end: string][] = [
    ["text/plain", "21.5", '"payload":"21.5"}'],
    ["application/json", '{"a":1}', '"payload":{"a":1}}'],
    ["application/json", "9007199254740993", '"payload":9007199254740993}'],
    ["application/json", "{", '"payload":"{"}'],
    ["application/senml+json", "[]", '"payload":"[]"}'],
    ["application/octet-stream", Buffer.from([0xff, 0]), '"payloadBase64":"/wA="}'],
  ];
  for (const [type, payload, end] of cases) t.equal(wrap(type, payload), head(type) + end);
});
