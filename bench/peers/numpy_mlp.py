"""The MLP 784-200-200-10 in NumPy: softmax cross-entropy, plain stochastic gradient descent, batches of 32.

Reads how many passes over 3,200 samples to make, a line each time, and answers with samples per second of processor time.
"""

import sys
import time

import numpy as np

BATCH, COUNT = 32, 3200
RATE = np.float32(0.05)
random = np.random.default_rng(0)


def layer(inputs, units):
    limit = np.sqrt(6 / (inputs + units))
    kernel = random.uniform(-limit, limit, (inputs, units)).astype(np.float32)
    return kernel, np.zeros(units, np.float32)


w1, b1 = layer(784, 200)
w2, b2 = layer(200, 200)
w3, b3 = layer(200, 10)
features = random.random((COUNT, 784), dtype=np.float32)
labels = random.integers(0, 10, COUNT)
rows = np.arange(BATCH)


def step(x, y):
    global w1, b1, w2, b2, w3, b3
    h1 = x @ w1
    h1 += b1
    np.maximum(h1, 0, out=h1)
    h2 = h1 @ w2
    h2 += b2
    np.maximum(h2, 0, out=h2)
    z = h2 @ w3
    z += b3
    z -= z.max(1, keepdims=True)
    np.exp(z, out=z)
    z /= z.sum(1, keepdims=True)
    loss = -np.log(z[rows, y]).mean()
    z[rows, y] -= 1
    z /= BATCH
    d2 = z @ w3.T
    d2 *= h2 > 0
    d1 = d2 @ w2.T
    d1 *= h1 > 0
    for kernel, bias, inputs, slopes in ((w3, b3, h2, z), (w2, b2, h1, d2), (w1, b1, x, d1)):
        change = inputs.T @ slopes
        change *= RATE
        kernel -= change
        bias -= RATE * slopes.sum(0)
    return loss


for line in sys.stdin:
    passes = int(line)
    begin = time.process_time()
    for _ in range(passes):
        for at in range(0, COUNT, BATCH):
            step(features[at : at + BATCH], labels[at : at + BATCH])
    print(passes * COUNT / (time.process_time() - begin), flush=True)
