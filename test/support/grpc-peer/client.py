"""A program of the cluster, in another language: talks to a bridge with code generated from our schemas."""
import hashlib
import json
import os
import queue
import sys
import threading
import time

import grpc
from agent_mesh.bridge.v1 import bridge_pb2 as messages
from agent_mesh.bridge.v1 import bridge_pb2_grpc as service
from agent_mesh.bridge.v1 import link_pb2

MESSAGE_BYTES = 104_857_600
address, token, ca_file = sys.argv[1:]
options = [
    ("grpc.max_send_message_length", MESSAGE_BYTES + 65_536),
    ("grpc.max_receive_message_length", MESSAGE_BYTES + 65_536),
]
with open(ca_file, "rb") as file:
    credentials = grpc.ssl_channel_credentials(file.read())
said = {}


def login(word):
    return [("authorization", "Bearer " + word), ("agent-mesh-accept-encoding", "gzip")]


def failure(call):
    try:
        call()
    except grpc.RpcError as error:
        trailers = dict(error.trailing_metadata() or [])
        return [error.code().name, trailers.get("agent-mesh-code"), trailers.get("agent-mesh-refusal")]
    return None


with grpc.secure_channel(address, credentials, options) as channel:
    bridge = service.BridgeServiceStub(channel)

    def exchange(payload, compression=None, target="pi-1", task="/echo/1", word=token, timeout=60):
        request = messages.ExchangeRequest(target=target, task=task, payload=payload)
        return bridge.Exchange(
            request, timeout=timeout, metadata=login(word), compression=compression
        ).payload

    noise = os.urandom(MESSAGE_BYTES // 2) + b"\x15" * (MESSAGE_BYTES // 2)
    for name, compression in (("plain", None), ("gzip", grpc.Compression.Gzip)):
        begun = time.monotonic()
        answer = exchange(noise, compression, target="gateway")
        said[name] = {"same": answer == noise, "seconds": time.monotonic() - begun}
    said["device"] = exchange(b"hello").decode()
    said["refused"] = failure(lambda: exchange(b"x", task="no"))
    said["missing"] = failure(lambda: exchange(b"x", target="pi-9"))
    said["stranger"] = failure(lambda: exchange(b"x", word="guess"))
    said["late"] = failure(lambda: exchange(b"x", task="slow", timeout=0.3))
    said["large"] = failure(lambda: exchange(b"\0" * (MESSAGE_BYTES + 1)))

    agents = bridge.ListAgents(messages.ListAgentsRequest(), metadata=login(token)).agents
    said["agents"] = [
        {
            "agent": agent.agent_id,
            "state": link_pb2.AgentState.Name(agent.state),
            "cores": agent.capabilities.cpu_cores,
            "health": agent.health.status,
            "via": list(agent.via),
        }
        for agent in sorted(agents, key=lambda agent: agent.agent_id)
    ]
    watch = bridge.WatchAgents(messages.WatchAgentsRequest(), metadata=login(token))
    said["watched"] = [next(watch).WhichOneof("change") for _ in range(3)]
    watch.cancel()

    heard = queue.Queue()
    subscription = bridge.Subscribe(
        messages.SubscribeRequest(filters=["sensors/+/t"]), metadata=login(token)
    )
    subscription.initial_metadata()

    def listen():
        try:
            for response in subscription:
                heard.put([response.message.topic, response.message.payload.decode()])
        except grpc.RpcError:
            pass

    threading.Thread(target=listen, daemon=True).start()
    for number in range(3):
        request = messages.PublishRequest(topic=f"sensors/{number}/t", payload=str(number).encode())
        bridge.Publish(request, metadata=login(token))
    said["heard"] = [heard.get(timeout=20) for _ in range(3)]
    subscription.cancel()

    content = os.urandom(3_000_000)
    about = messages.Content(
        name="model.bin", size=len(content), sha256=hashlib.sha256(content).digest()
    )
    there = bridge.GetUpload(
        messages.GetUploadRequest(target="gateway", content=about), metadata=login(token)
    ).offset

    def parts():
        offer = messages.UploadOffer(target="gateway", content=about, offset=there)
        yield messages.UploadRequest(offer=offer)
        for at in range(there, len(content), 200_000):
            yield messages.UploadRequest(chunk=content[at : at + 200_000])

    said["uploaded"] = bridge.Upload(parts(), metadata=login(token)).size
    received = bytearray()
    request = messages.DownloadRequest(target="gateway", name="model.bin")
    for response in bridge.Download(request, metadata=login(token)):
        received += response.chunk
    said["downloaded"] = bytes(received) == content

print(json.dumps(said))
