import type { Checkpointing } from '../tensor-layers';
import { type Gradient, isPointwise, isWinograd, Kernels } from './kernels';
import { type ConvolutionShape, LANES, type Layer, weightBytes } from './layers';
import { type Activation, bytesOf, type Habits, type Ledger } from './ledger';

interface PassOptions {
  readonly habits: Habits;
  readonly checkpointing: Checkpointing;
  /** Bytes of a number that a norm writes. */
  readonly width: number;
}

/**
 * A forward and a backward pass of the generator on paper, in the order of encoder, decoder, the losses and the
 * tape: whatever they take or free, this takes from or gives back to the ledger. The tape keeps the input of every
 * norm and of every convolution without one before it; what a norm with its convolution makes is computed again.
 */
export class GeneratorPass {
  private readonly kernels: Kernels;

  constructor(
    private readonly ledger: Ledger,
    private readonly layers: readonly Layer[],
    private readonly options: PassOptions,
  ) {
    this.kernels = new Kernels(ledger, options.habits);
  }

  /** Takes what is kept for the backward pass; the patch itself is there. */
  forward(): void {
    const { ledger, kernels, options } = this;
    let afterNorm = false;
    for (const layer of this.layers) {
      if (layer.kind === 'convolution') {
        kernels.convolve(layer, afterNorm && layer.added[0] === 2);
        if (this.reorders(layer)) ledger.take(weightBytes(layer));
      } else if (layer.kind === 'norm') kernels.norm(layer.x, options.width);
      else if (layer.kind === 'codes') {
        ledger.take(bytesOf(layer.x)); // embeddings of the codes
        ledger.during(2 * bytesOf(layer.x));
      } else this.blockForward(layer.x, options.checkpointing === 'none');
      afterNorm = layer.kind === 'norm';
    }
  }

  /** Difference to the patch, its size, its sign; one gradient stays. */
  loss(patch: Activation): void {
    this.ledger.during(4 * bytesOf(patch));
    this.ledger.take(bytesOf(patch));
  }

  /** From the gradient at the reconstruction to those of all weights. */
  backward(): void {
    const { ledger, kernels, options } = this;
    let dy: Gradient = { of: outputOf(this.layers.at(-1)!), added: [0, 0, 0] };
    const reversed = [...this.layers].reverse();
    reversed.forEach((layer, i) => {
      if (layer.kind === 'block') {
        dy = this.blockBack(layer.x, dy);
      } else if (layer.kind === 'codes') {
        ledger.during(3 * bytesOf(layer.x));
        ledger.give(bytesOf(layer.x));
        dy = kernels.fold(dy);
      } else if (layer.kind === 'norm') {
        const dx = kernels.normBack(layer.x);
        kernels.free(dy);
        ledger.give(bytesOf(layer.x));
        dy = dx;
      } else {
        const afterNorm = reversed[i + 1]?.kind === 'norm';
        const dx = kernels.convolveBack(
          layer,
          dy,
          i < reversed.length - 1,
          afterNorm && layer.added[0] === 2,
        );
        kernels.free({ ...dy, added: [0, 0, 0] });
        // The patch is the caller's; a norm's output was kept with its border.
        const border: [number, number, number] =
          afterNorm && options.habits.keepsBorders ? [2, 2, 2] : [0, 0, 0];
        if (dx) ledger.give(bytesOf(layer.x, border));
        if (dx) dy = dx;
      }
    });
  }

  /** Whether the weights are kept in a library's order too. */
  private reorders(c: ConvolutionShape): boolean {
    const { padsRows, reorders } = this.options.habits;
    if (padsRows || isWinograd(c) || isThin(c)) return false;
    return reorders || isPointwise(c) || c.x.channels % LANES > 0 || c.y.channels % LANES > 0;
  }

  /** Takes the block's output and, unless it is computed again later, the middle one. */
  private blockForward(x: Activation, keeps: boolean): void {
    const { ledger, kernels, options } = this;
    const convolution = blockConvolution(x);
    for (let i = 0; i < 2; i++) {
      const normed = kernels.norm(x, options.width);
      kernels.convolve(convolution, true);
      ledger.give(normed);
    }
    ledger.take(bytesOf(x)); // the sum
    ledger.give(bytesOf(x)); // what was added to x
    if (!keeps) ledger.give(bytesOf(x));
  }

  private blockBack(x: Activation, given: Gradient): Gradient {
    const { ledger, kernels, options } = this;
    const size = bytesOf(x);
    const again = options.checkpointing === 'blocks';
    if (again) this.blockForward(x, true); // its output stays until the end
    const dy = kernels.fold(given);
    const middle = this.normConvolutionBack(x, dy); // dy stays: it goes past the block too
    ledger.give(size); // the middle one
    const dx = this.normConvolutionBack(x, middle);
    kernels.free(middle);
    ledger.give(size); // x, or the output of the block where that was computed again
    ledger.take(size); // the sum with what went past
    kernels.free(dx);
    kernels.free(dy);
    if (again) ledger.give(size); // x
    return dx;
  }

  /** Takes the gradient of x, and those of the weights. */
  private normConvolutionBack(x: Activation, dy: Gradient): Gradient {
    const { ledger, kernels, options } = this;
    const convolution = blockConvolution(x);
    const normed = kernels.norm(x, options.width);
    const dw = weightBytes(convolution);
    ledger.take(dw);
    ledger.during(dw);
    ledger.give(normed);
    const dh = kernels.convolveBack(convolution, dy, true, true)!;
    ledger.give(dw); // counted above, where it is made
    const dx = kernels.normBack(x);
    kernels.free(dh);
    return dx;
  }
}

function blockConvolution(x: Activation): ConvolutionShape {
  return { x, y: x, kernel: [3, 3, 3], added: [2, 2, 2] };
}

function isThin(c: ConvolutionShape): boolean {
  return !isPointwise(c) && (c.x.channels === 1 || c.y.channels === 1);
}

function outputOf(layer: Layer): Activation {
  return layer.kind === 'convolution' || layer.kind === 'norm' ? layer.y : layer.x;
}
