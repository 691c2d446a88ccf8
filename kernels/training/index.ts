export { activationGradient, biasActivation, softmax, softmaxGradient } from "./activation";
export { convolution, convolutionInputGradient, convolutionKernelGradient } from "./convolution";
export { depthwise, depthwiseInputGradient, depthwiseKernelGradient } from "./depthwise";
export { hits, sigmoidCrossEntropy, softmaxCrossEntropy, squaredError } from "./loss";
export { matmul, matmulScratchBytes } from "./matmul";
export { moments, normalize, normalizeGradient } from "./normalization";
export { averagePool, averagePoolGradient, maxPool, maxPoolGradient } from "./pool";
export {
  addRows,
  gruGates,
  gruGatesGradient,
  gruStep,
  gruStepGradient,
  lstmStep,
  lstmStepGradient,
} from "./recurrent";
export { dropout, gather, scatterAdd, sgd } from "./update";
export { allFinite, axpy, columnSums, dot, scale } from "./vector";
