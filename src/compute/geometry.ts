import { InvalidArgument } from '../errors';

/** Sizes along [depth, height, width], the tensor order. */
export type Size3 = readonly [number, number, number];

/**
 * A planned convolution: everything a kernel needs to know beside its tensors. x is
 * [n, ...input, inChannels], y is [n, ...output, outChannels], w is [...kernel, inChannels, outChannels],
 * for the transposed convolution too.
 */
export interface Convolution {
  readonly transposed: boolean;
  readonly n: number;
  readonly input: Size3;
  readonly output: Size3;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernel: Size3;
  readonly stride: Size3;
  /** Border voxels replicated in front of x; as many as `kernel - stride - before` follow it. */
  readonly before: Size3;
}

/** One product of a convolution along one axis: `y[output] += x[input] * w[tap]`. */
export interface AxisProduct {
  readonly input: number;
  readonly output: number;
  readonly tap: number;
}

export interface ConvolutionOptions {
  /** 1, 2, or one of them per axis [depth, height, width]. */
  readonly stride?: number | Size3;
}

/**
 * Plans a convolution with "same" padding by replication: `kernel - stride` border voxels in all, the larger half
 * in front (medicaldiffusion's SamePadConv3d). The output is floor(input / stride).
 *
 * Transposed (SamePadConvTranspose3d): the input is padded the same way, then transposed and cropped by
 * `kernel - 1` on both sides. That gives exactly `input * stride` where the kernel is `stride + 2` or the stride 1;
 * other kernels are refused.
 *
 * @throws InvalidArgument where shapes, channels, kernel or stride do not fit together.
 */
export function planConvolution(
  xShape: readonly number[],
  wShape: readonly number[],
  transposed: boolean,
  options: ConvolutionOptions = {},
): Convolution {
  if (xShape.length !== 5) throw new InvalidArgument('x', 'a tensor [n, d, h, w, channels]', xShape);
  if (wShape.length !== 5) throw new InvalidArgument('w', 'weights [kd, kh, kw, in, out]', wShape);
  const [n, inChannels] = [xShape[0]!, xShape[4]!];
  const kernel = size3(wShape.slice(0, 3));
  const outChannels = wShape[4]!;
  if (wShape[3] !== inChannels) {
    throw new InvalidArgument('w', `${inChannels} input channels (those of x)`, wShape);
  }
  if (kernel.some((k) => k < 1) || outChannels < 1) {
    throw new InvalidArgument('w', 'weights with no empty axis', wShape);
  }
  const stride = planStride(options.stride ?? (transposed ? 2 : 1));
  const input = size3(xShape.slice(1, 4));
  for (const axis of [0, 1, 2]) checkAxis(input[axis]!, kernel[axis]!, stride[axis]!, transposed);
  const before = size3([0, 1, 2].map((a) => Math.ceil((kernel[a]! - stride[a]!) / 2)));
  const output = size3(
    [0, 1, 2].map((a) => (transposed ? input[a]! * stride[a]! : Math.floor(input[a]! / stride[a]!))),
  );
  return { transposed, n, input, output, inChannels, outChannels, kernel, stride, before };
}

/** Every product of the convolution along one axis, by output position where it is not transposed. */
export function axisProducts(convolution: Convolution, axis: number): AxisProduct[] {
  const [size, output] = [convolution.input[axis]!, convolution.output[axis]!];
  const [kernel, stride] = [convolution.kernel[axis]!, convolution.stride[axis]!];
  const before = convolution.before[axis]!;
  const inside = (padded: number) => Math.min(Math.max(padded - before, 0), size - 1);
  const products: AxisProduct[] = [];
  if (convolution.transposed) {
    for (let padded = 0; padded < size + kernel - stride; padded++) {
      for (let tap = 0; tap < kernel; tap++) {
        const position = padded * stride + tap - (kernel - 1);
        if (position >= 0 && position < output) {
          products.push({ input: inside(padded), output: position, tap });
        }
      }
    }
  } else {
    for (let position = 0; position < output; position++) {
      for (let tap = 0; tap < kernel; tap++) {
        products.push({ input: inside(position * stride + tap), output: position, tap });
      }
    }
  }
  return products;
}

export function inputShape(convolution: Convolution): number[] {
  return [convolution.n, ...convolution.input, convolution.inChannels];
}

export function outputShape(convolution: Convolution): number[] {
  return [convolution.n, ...convolution.output, convolution.outChannels];
}

export function weightShape(convolution: Convolution): number[] {
  return [...convolution.kernel, convolution.inChannels, convolution.outChannels];
}

function planStride(stride: number | Size3): Size3 {
  const strides = typeof stride === 'number' ? [stride, stride, stride] : stride;
  if (strides.length !== 3 || strides.some((s) => s !== 1 && s !== 2)) {
    throw new InvalidArgument('stride', '1, 2, or three of them [depth, height, width]', stride);
  }
  return size3(strides);
}

function checkAxis(input: number, kernel: number, stride: number, transposed: boolean): void {
  if (kernel < stride) throw new InvalidArgument('w', `a kernel of at least the stride ${stride}`, kernel);
  if (input < (transposed ? 1 : stride)) {
    throw new InvalidArgument('x', `at least ${transposed ? 1 : stride} voxels along every axis`, input);
  }
  if (transposed && stride > 1 && kernel !== stride + 2) {
    throw new InvalidArgument('w', `a kernel of ${stride + 2} for transposed stride ${stride}`, kernel);
  }
}

function size3(sizes: readonly number[]): Size3 {
  return [sizes[0]!, sizes[1]!, sizes[2]!];
}
