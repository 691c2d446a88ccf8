"""Flower's own aggregation functions, timed one call at a time.

Usage: flower_aggregation.py UPDATES CLIENTS MALICIOUS TRIM, where UPDATES holds float32 values, one client after the other.
Reads the name of a rule a line, and answers with a line of JSON: the milliseconds that the call took, and a file with the result.
"""

import json
import sys
import time

import numpy as np
from flwr.app import ArrayRecord, RecordDict
from flwr.server.strategy import aggregate as functions
from flwr.serverapp.strategy.bulyan import aggregate_n_closest_weights
from flwr.serverapp.strategy.multikrum import select_multikrum

SHAPES = [(784, 200), (200,), (200, 200), (200,), (200, 10), (10,)]

path, clients, malicious, trim = sys.argv[1], *map(int, sys.argv[2:5])
flat = np.memmap(path, dtype=np.float32, mode="r").reshape(clients, -1)


def layers(row):
    result, at = [], 0
    for shape in SHAPES:
        size = int(np.prod(shape))
        result.append(np.array(row[at : at + size]).reshape(shape))
        at += size
    assert at == row.size
    return result


models = [layers(row) for row in flat]
results = [(model, 600 + index) for index, model in enumerate(models)]
records = [RecordDict({"arrays": ArrayRecord(model)}) for model in models]


def new_bulyan():
    """What Bulyan.aggregate_train of the message API does between replies and record."""
    theta = clients - 2 * malicious
    selected = select_multikrum(records, malicious, theta)
    arrays = [each["arrays"].to_numpy_ndarrays() for each in selected]
    median = [np.median(layer, axis=0) for layer in zip(*arrays, strict=True)]
    return aggregate_n_closest_weights(median, arrays, theta - 2 * malicious)


rules = {
    "mean": lambda: functions.aggregate(results),
    "krum": lambda: functions.aggregate_krum(results, malicious, 0),
    "new krum": lambda: select_multikrum(records, malicious, 1)[0]["arrays"].to_numpy_ndarrays(),
    "median": lambda: functions.aggregate_median(results),
    "trimmed-mean": lambda: functions.aggregate_trimmed_avg(results, trim / clients),
    "bulyan": lambda: functions.aggregate_bulyan(
        list(results), malicious, functions.aggregate_krum, to_keep=0
    ),
    "new bulyan": new_bulyan,
}

for line in sys.stdin:
    rule = rules[line.strip()]
    start = time.perf_counter()
    result = rule()
    ms = 1000 * (time.perf_counter() - start)
    with open(path + ".result", "wb") as file:
        for layer in result:
            file.write(layer.astype(np.float32).data)
    print(json.dumps({"ms": ms, "result": path + ".result"}), flush=True)
