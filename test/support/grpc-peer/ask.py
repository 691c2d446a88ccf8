"""Asks one agent for one task through a gateway, as a program of another language would."""
import json
import sys

import grpc
from agent_mesh.bridge.v1 import bridge_pb2 as messages
from agent_mesh.bridge.v1 import bridge_pb2_grpc as service

address, token, ca_file, target, task = sys.argv[1:]
with open(ca_file, "rb") as file:
    credentials = grpc.ssl_channel_credentials(file.read())
with grpc.secure_channel(address, credentials) as channel:
    request = messages.ExchangeRequest(target=target, task=task)
    answer = service.BridgeServiceStub(channel).Exchange(
        request, timeout=20, metadata=[("authorization", "Bearer " + token)]
    )
    print(json.dumps({"answer": json.loads(answer.payload)}))
