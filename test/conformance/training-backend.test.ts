import t from "tap";
import { SimdTrainingBackend } from "../../src/platform/simd/training-backend.ts";
import { bindTrainingKernels } from "../../src/platform/simd/training-kernels.ts";
import { openTensorFlowWasm } from "../../src/platform/tensorflow/open-wasm.ts";
import { PlainTrainingBackend } from "../../src/simulator/plain-training-backend.ts";
import { kindsOf, modelsByName } from "../support/training/models.ts";
import { trainingBackendConformance } from "./training-backend.ts";

const everything = [...new Set(Object.values(modelsByName).flatMap(kindsOf))];

t.test("TrainingBackend: simd", async (t) => {
  trainingBackendConformance(t, () => new SimdTrainingBackend(), { kinds: everything });
});

t.test("TrainingBackend: tensorflow-wasm", async (t) => {
  const make = () => openTensorFlowWasm({ bindKernels: bindTrainingKernels });
  trainingBackendConformance(t, make, { kinds: everything });
});

t.test("TrainingBackend: plain", async (t) => {
  trainingBackendConformance(t, () => new PlainTrainingBackend(), {
    kinds: ["dense", "flatten", "reshape", "dropout", "batch-norm"],
    without: ["dense softmax"],
  });
});
