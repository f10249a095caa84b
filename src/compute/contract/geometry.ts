import { InvalidArgument } from '../../errors';

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
  /** Border voxels in front of x and behind it. */
  readonly before: Size3;
  readonly after: Size3;
  /** What the border is: the nearest voxel of x repeated, or zeros (then as many behind as in front). */
  readonly border: 'replicate' | 'zero';
}

/** One product of a convolution along one axis: `y[output] += x[input] * w[tap]`. */
interface AxisProduct {
  readonly input: number;
  readonly output: number;
  readonly tap: number;
}

export interface ConvolutionOptions {
  /** 1, 2, or one of them per axis [depth, height, width]. */
  readonly stride?: number | Size3;
  /** Zeros on either side of every axis [depth, height, width], as PyTorch's `padding`, in place of the replication. */
  readonly padding?: Size3;
}

/**
 * Plans a convolution with "same" padding by replication: `kernel - stride` border voxels in all, the larger half
 * in front (medicaldiffusion's SamePadConv3d). The output is floor(input / stride).
 *
 * With `padding` the border is that many zeros and the output floor((input + 2 padding - kernel) / stride) + 1, as in
 * PyTorch; not for the transposed convolution.
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
  if (!options.padding)
    for (const axis of [0, 1, 2]) checkAxis(input[axis]!, kernel[axis]!, stride[axis]!, transposed);
  const shared = { transposed, n, input, inChannels, outChannels, kernel, stride };
  if (options.padding) return { ...shared, ...zeroBorder(shared, options.padding) };
  const before = size3([0, 1, 2].map((a) => Math.ceil((kernel[a]! - stride[a]!) / 2)));
  const after = size3([0, 1, 2].map((a) => kernel[a]! - stride[a]! - before[a]!));
  const output = size3(
    [0, 1, 2].map((a) => (transposed ? input[a]! * stride[a]! : Math.floor(input[a]! / stride[a]!))),
  );
  return { ...shared, output, before, after, border: 'replicate' };
}

/** Every product of the convolution along one axis, by output position where it is not transposed. */
export function axisProducts(convolution: Convolution, axis: number): AxisProduct[] {
  const [size, output] = [convolution.input[axis]!, convolution.output[axis]!];
  const [kernel, stride] = [convolution.kernel[axis]!, convolution.stride[axis]!];
  const inside = (padded: number) => insideOf(convolution, axis, padded);
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
        const from = inside(position * stride + tap);
        if (from >= 0) products.push({ input: from, output: position, tap });
      }
    }
  }
  return products;
}

/** The voxel of x that a padded position holds along an axis; -1 for a zero. */
export function insideOf(convolution: Convolution, axis: number, padded: number): number {
  const at = padded - convolution.before[axis]!;
  const last = convolution.input[axis]! - 1;
  if (convolution.border === 'zero') return at >= 0 && at <= last ? at : -1;
  return Math.min(Math.max(at, 0), last);
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

function zeroBorder(
  { transposed, input, kernel, stride }: Pick<Convolution, 'transposed' | 'input' | 'kernel' | 'stride'>,
  padding: Size3,
): Pick<Convolution, 'output' | 'before' | 'after' | 'border'> {
  if (transposed) throw new InvalidArgument('padding', 'none for a transposed convolution', padding);
  if (padding.length !== 3 || padding.some((p, a) => !Number.isInteger(p) || p < 0 || p >= kernel[a]!))
    throw new InvalidArgument('padding', 'three whole numbers from 0, below the kernel', padding);
  const output = input.map((size, a) => Math.floor((size + 2 * padding[a]! - kernel[a]!) / stride[a]!) + 1);
  if (output.some((size) => size < 1))
    throw new InvalidArgument('x', `at least the kernel [${kernel}] with its padding on every axis`, input);
  return { output: size3(output), before: padding, after: padding, border: 'zero' };
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
