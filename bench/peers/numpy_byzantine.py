"""Distributed SGD with liars, in NumPy and from the papers alone: what the rules of ours are held to.

Usage: numpy_byzantine.py FILE, where FILE is a dataset as `encodeDataset` writes it: a magic line, the length of a header, a header of
JSON, then for training and test each the pixels and a byte for each label.

20 clients with an equal part each of a shuffled MNIST, the last 6 of them liars; an MLP 784-100-10, whose first weights and biases lie
within one over the root of what goes into a unit; in each of 500 steps everybody draws 32 of its samples and tells its gradient; a rule
makes one of all, and the model steps by a tenth of it. Reads a line "rule/attack/seed" and answers with a line of JSON: the accuracy
on the test samples after 300, 350, ... 500 steps.
"""

import json
import sys

import numpy as np

CLIENTS, LIARS, BATCH, STEPS, RATE = 20, 6, 32, 500, np.float32(0.1)
HONEST = CLIENTS - LIARS
SHAPES = [(784, 100), (100,), (100, 10), (10,)]
# That go into a unit.
FANS = [784, 784, 100, 100]


def read(path):
    whole = np.fromfile(path, np.uint8)
    start = int(np.flatnonzero(whole == ord("\n"))[0]) + 1
    length = int(whole[start : start + 4].view("<u4")[0])
    at = start + 4 + length
    header = json.loads(whole[start + 4 : at].tobytes())
    assert header["form"] == "byte", header
    sides = []
    for count in (header["train"], header["test"]):
        pixels = whole[at : at + 784 * count].reshape(count, 784)
        at += 784 * count
        sides.append((pixels.astype(np.float32) / 255, whole[at : at + count].astype(int)))
        at += count
    return sides


def layers(flat):
    parts, at = [], 0
    for shape in SHAPES:
        size = int(np.prod(shape))
        parts.append(flat[at : at + size].reshape(shape))
        at += size
    return parts


def first_model(random):
    parts = []
    for shape, fan in zip(SHAPES, FANS, strict=True):
        limit = 1 / np.sqrt(fan)
        parts.append(random.uniform(-limit, limit, shape).astype(np.float32).ravel())
    return np.concatenate(parts)


def gradient(flat, x, y):
    w1, b1, w2, b2 = layers(flat)
    hidden = np.maximum(x @ w1 + b1, 0)
    z = hidden @ w2 + b2
    z = np.exp(z - z.max(1, keepdims=True))
    z /= z.sum(1, keepdims=True)
    z[np.arange(len(y)), y] -= 1
    z /= len(y)
    back = (z @ w2.T) * (hidden > 0)
    parts = (x.T @ back, back.sum(0), hidden.T @ z, z.sum(0))
    return np.concatenate([part.ravel() for part in parts])


def accuracy(flat, x, y):
    w1, b1, w2, b2 = layers(flat)
    return float(((np.maximum(x @ w1 + b1, 0) @ w2 + b2).argmax(1) == y).mean())


def scores(told):
    """Of each gradient the sum of squared distances to its n - f - 2 nearest (Blanchard et al. 2017, section 4)."""
    wide = told.astype(np.float64)
    squares = (wide * wide).sum(1)
    distances = np.maximum(squares[:, None] + squares[None, :] - 2 * wide @ wide.T, 0)
    np.fill_diagonal(distances, np.inf)
    return np.sort(distances, 1)[:, : CLIENTS - LIARS - 2].sum(1)


def multi_krum(told):
    return told[np.argsort(scores(told), kind="stable")[: CLIENTS - LIARS]].mean(0)


def trimmed_mean(told):
    return np.sort(told, 0)[LIARS : CLIENTS - LIARS].mean(0)


def geometric_median(told):
    """Weiszfeld's iteration, until it moves by less than a millionth."""
    centre = told.mean(0)
    for _ in range(1000):
        weights = 1 / np.maximum(np.linalg.norm(told - centre, axis=1), 1e-12)
        moved = (weights / weights.sum()).astype(np.float32) @ told
        done = np.linalg.norm(moved - centre) <= 1e-6 * np.linalg.norm(centre)
        centre = moved
        if done:
            break
    return centre


RULES = {
    "mean": lambda told: told.mean(0),
    "Krum": lambda told: told[scores(told).argmin()],
    "Multi-Krum": multi_krum,
    "median": lambda told: np.median(told, axis=0),
    "trimmed mean": trimmed_mean,
    "geometric median": geometric_median,
}

ATTACKS = {
    "Gaussian": lambda honest, random: random.normal(0, 200, (LIARS, honest.shape[1])),
    "omniscient": lambda honest, random: -20 * honest.mean(0),
    "inner product": lambda honest, random: -1.1 * honest.mean(0),
    "a little is enough": lambda honest, random: honest.mean(0) - honest.std(0),
}


def run(rule, attack, seed, train, test):
    random = np.random.default_rng(seed)
    x, y = train
    owners = np.array_split(random.permutation(len(y)), CLIENTS)
    model = first_model(random)
    told = np.empty((CLIENTS, model.size), np.float32)
    honest = CLIENTS if attack == "none" else HONEST
    seen = []
    for step in range(1, STEPS + 1):
        for client in range(honest):
            drawn = random.choice(owners[client], BATCH, replace=False)
            told[client] = gradient(model, x[drawn], y[drawn])
        if attack != "none":
            told[HONEST:] = ATTACKS[attack](told[:HONEST], random)
        model -= RATE * RULES[rule](told)
        if step >= 300 and step % 50 == 0:
            seen.append(accuracy(model, *test))
    return seen


train_set, test_set = read(sys.argv[1])
for line in sys.stdin:
    wanted_rule, wanted_attack, wanted_seed = line.strip().split("/")
    print(json.dumps(run(wanted_rule, wanted_attack, int(wanted_seed), train_set, test_set)), flush=True)
