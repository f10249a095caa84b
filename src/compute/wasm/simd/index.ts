/**
 * Our SIMD kernels, in AssemblyScript. They share tfjs-backend-wasm's memory, keep no state and no data of their
 * own in it, and allocate nothing: the caller passes addresses of that memory.
 */
export { convolve } from './convolve';
export { correlate } from './correlate';
export { nearestCodes } from './codes';
export { groupNorm, groupNormGradient, normalise } from './norm';
export { channelSums } from './sums';
export { padRows } from './walk';
