import { planGrid } from '../../../src/patch/grid';
import { comparisonFigure } from '../../../src/plot/comparison/figure';
import { sweepFigure } from '../../../src/plot/comparison/sweep';
import type { Figure } from '../../../src/plot/figure/figure';
import { runFigure } from '../../../src/plot/run/figure';
import { volumeFigure } from '../../../src/plot/volume/figure';
import { gridFigure } from '../../../src/plot/volume/grid';
import { body, comparisonOf, recordsOf } from '../samples';

const sweep = sweepFigure(
  ['linear', 'gaussian'].flatMap((name, i) =>
    [0, 0.25, 0.5].map((overlap) => ({ name, overlap, psnr: 30 + i + overlap, ssim: 0.9, seamEnergy: 1.5 })),
  ),
);

/** One figure of each kind. */
export const figures = {
  volume: volumeFigure(body),
  comparison: comparisonFigure(comparisonOf(body, ['linear', 'gaussian & "co" <b>'])),
  run: runFigure(recordsOf(60), { state: 'running', step: 60, steps: 100 }),
  'empty run': runFigure([]),
  grid: gridFigure(planGrid([64, 64, 76], { patch: [32, 32, 16], stride: [24, 24, 12] })),
  sweep,
} satisfies Record<string, Figure>;
