import { type ConvolutionShape, weightBytes } from './layers';
import { type Activation, type Added, bytesOf, type Habits, type Ledger, partBytes } from './ledger';

const NONE: Added = [0, 0, 0];
/** The border of a 3 x 3 x 3 convolution, which norms write along. */
const NEXT: Added = [2, 2, 2];
/** Points of a Winograd tile for the 27 taps of a kernel. */
const POINTS = 64 / 27;

/** A gradient on its way back: its volume, and the border that still hangs on it. */
export interface Gradient {
  readonly of: Activation;
  readonly added: Added;
}

/** What our kernels take and give, one by one, on a backend of these habits. */
export class Kernels {
  constructor(
    private readonly ledger: Ledger,
    private readonly habits: Habits,
  ) {}

  /** Of a convolution's input, the copy with the border; nothing where it has one. */
  private bordered({ x, added, kernel }: ConvolutionShape, hasBorder: boolean): number {
    const { keepsBorders, padsRows, padding, asStored } = this.habits;
    if (kernel.every((k) => k === 1)) return 0;
    if (hasBorder && keepsBorders) return 0;
    const width = asStored ? x.width : 4;
    return padding * bytesOf({ ...x, width }, padsRows ? [0, 0, added[2]] : added);
  }

  /** Takes y. The pass counts the copy of the weights that oneDNN keeps. */
  convolve(c: ConvolutionShape, hasBorder = false): void {
    const { y } = c;
    this.ledger.take(bytesOf(y));
    this.ledger.during(this.bordered(c, hasBorder) + this.recast(c) + this.packed(c));
  }

  /** Copies of what is stored in half and computed in floats. */
  private recast(c: ConvolutionShape): number {
    if (this.habits.asStored) return c.x.width === c.y.width ? 0 : Math.max(partBytes(c.x), partBytes(c.y));
    return c.y.width < 4 && !isWinograd(c) ? bytesOf({ ...c.y, width: 4 }) : 0;
  }

  /** Takes the weights' gradient and, where `input` is wanted, that of x; folds dy. */
  convolveBack(c: ConvolutionShape, dy: Gradient, input: boolean, hasBorder = false): Gradient | undefined {
    const { ledger, habits } = this;
    this.fold(dy);
    const around = c.transposed && !habits.asStored ? bytesOf({ ...c.y, width: 4 }, grown(c)) : 0;
    const packed = this.packed(c);
    const dx = { of: c.x, added: habits.keepsBorders ? borderOf(c) : NONE };
    if (input) {
      const bytes = bytesOf(dx.of, dx.added);
      const copies = c.added.some((n) => n !== 2) ? habits.inputGradient : 0;
      const padded =
        habits.padsRows && !isPointwise(c) ? bytesOf({ ...c.y, width: 4 }, [0, 0, c.added[2]]) : 0;
      ledger.take(bytes);
      ledger.during(Math.max(copies * bytesOf({ ...c.x, width: 4 }, c.added), around, padded) + packed);
    }
    const dw = weightBytes(c);
    ledger.take(dw);
    const cast = habits.asStored ? this.recast(c) : 0;
    const gathered = habits.padsRows ? bytesOf(c.transposed ? c.y : c.x, [0, 0, c.added[2]]) : 0;
    const copies = cast + Math.max(gathered, this.bordered(c, hasBorder));
    ledger.during(copies + (habits.padsRows ? dw : around + 2 * dw));
    return input ? dx : undefined;
  }

  /** Takes the norm's output, with its border where that is kept. */
  norm(x: Activation, width: number): number {
    const y = { ...x, width };
    const bytes = bytesOf(y, this.habits.keepsBorders ? NEXT : NONE);
    this.ledger.take(bytes);
    this.during(this.habits.norm, x, width);
    return bytes;
  }

  /** Takes dx; dy stays, and its border is read as it is. */
  normBack(x: Activation): Gradient {
    this.ledger.take(bytesOf(x));
    this.during(this.habits.normGradient, x, x.width);
    return { of: x, added: NONE };
  }

  /** Copies of a part of x in floats. What is stored as bf16 has a cast copy too. */
  private during(copies: number, x: Activation, width: number): void {
    if (copies > 0) this.ledger.during((copies + (width < 4 ? 1 : 0)) * partBytes(x));
  }

  /** Folds the border of a gradient inwards. */
  fold({ of, added }: Gradient): Gradient {
    if (added.every((n) => n === 0)) return { of, added };
    this.ledger.take(bytesOf(of));
    this.ledger.give(bytesOf(of, added));
    return { of, added: NONE };
  }

  free({ of, added }: Gradient): void {
    this.ledger.give(bytesOf(of, added));
  }

  /** A copy of the weights in the order that a loop reads them. */
  private packed(c: ConvolutionShape): number {
    if (this.habits.padsRows) return weightBytes(c);
    return isWinograd(c) ? POINTS * weightBytes(c) : 0;
  }
}

export function isPointwise({ kernel }: ConvolutionShape): boolean {
  return kernel.every((k) => k === 1);
}

/** Whether our own loops for wide channels take it. */
export function isWinograd({ x, y, kernel, added, transposed }: ConvolutionShape): boolean {
  const wide = x.channels % 16 === 0 && y.channels % 16 === 0;
  return !transposed && wide && kernel.every((k) => k === 3) && added.every((n) => n === 2);
}

function borderOf(c: ConvolutionShape): Added {
  return isPointwise(c) ? NONE : c.added;
}

/** What a transposed convolution's output gradient is padded by. */
function grown({ kernel }: ConvolutionShape): Added {
  return [2 * (kernel[0] - 1), 2 * (kernel[1] - 1), 2 * (kernel[2] - 1)];
}
