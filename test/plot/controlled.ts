import { planGrid } from '../../src/patch/grid';
import { comparisonFigure } from '../../src/plot/comparison/figure';
import { seamFigure } from '../../src/plot/comparison/seams';
import type { Figure } from '../../src/plot/figure/figure';
import { codesFigure } from '../../src/plot/run/codes';
import { runFigure } from '../../src/plot/run/figure';
import { volumeFigure } from '../../src/plot/volume/figure';
import { gridFigure } from '../../src/plot/volume/grid';
import type { Kind } from './controls';
import { body, comparisonOf, recordsOf } from './samples';

const status = { state: 'running', step: 60, steps: 100 };
const bytes = (value: (at: number) => number): string =>
  Buffer.from(Uint8Array.from({ length: 24 * 24 }, (_, at) => value(at))).toString('base64');
/** Pictures of a validation, as a run has them. */
export const slices = {
  step: 60,
  columns: 24,
  rows: 24,
  original: bytes((at) => at % 251),
  reconstruction: bytes((at) => (at * 3) % 251),
};

/** Figures of every kind that has controls, and how many of each kind it has. */
export const controlled: readonly [string, Figure, Partial<Record<Kind, number>>][] = [
  ['volume', volumeFigure(body), { button: 5, slider: 3 }],
  [
    'comparison with one',
    comparisonFigure(comparisonOf(body, ['linear']), { slices: [3, 6, 9] }),
    { button: 5, slider: 1, 'legend entry': 2 },
  ],
  [
    'comparison with two',
    comparisonFigure(comparisonOf(body, ['linear', 'gaussian']), { slices: [3, 6, 9] }),
    { button: 5, slider: 1, 'legend entry': 3 },
  ],
  ['seams', seamFigure(comparisonOf(body, ['linear'])), { 'legend entry': 2 }],
  ['run', runFigure(recordsOf(60), status, { slices }), { button: 2, 'legend entry': 6 }],
  ['grid', gridFigure(planGrid([64, 64, 76], { patch: [32, 32, 16], stride: [24, 24, 12] })), {}],
  ['codes', codesFigure({ train: [5, 3, 0, 1], validation: [1, 2, 3, 4] }), { 'legend entry': 3 }],
];
