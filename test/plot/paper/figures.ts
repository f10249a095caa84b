import { planGrid } from '../../../src/patch/grid';
import { distanceFigure } from '../../../src/plot/comparison/distance';
import { comparisonFigure } from '../../../src/plot/comparison/figure';
import { seamFigure } from '../../../src/plot/comparison/seams';
import { sweepFigure } from '../../../src/plot/comparison/sweep';
import { worstPatchesFigure } from '../../../src/plot/comparison/worst-patches';
import type { Figure } from '../../../src/plot/figure/figure';
import { codesFigure } from '../../../src/plot/run/codes';
import { runFigure } from '../../../src/plot/run/figure';
import { rankTimesFigure } from '../../../src/plot/run/rank-times';
import { volumeFigure } from '../../../src/plot/volume/figure';
import { gridFigure } from '../../../src/plot/volume/grid';
import { slices } from '../controlled';
import { body, comparisonOf, recordsOf } from '../samples';

const sweep = sweepFigure(
  ['linear', 'gaussian'].flatMap((name, i) =>
    [0, 0.25, 0.5].map((overlap) => ({ name, overlap, psnr: 30 + i + overlap, ssim: 0.9, seamEnergy: 1.5 })),
  ),
);

const compared = comparisonOf(body, ['linear', 'gaussian']);
const grid = planGrid(body.shape, { patch: [12, 12, 8], stride: [8, 8, 4] });
const worst = [0, 3].map((index) => ({
  index,
  start: [0, 4, 4] as const,
  psnr: 20 + index,
  mae: 4,
  rmse: 5,
}));
const distances = [0, 1, 2].map((distance) => ({
  distance,
  voxels: 100,
  psnr: 30 + distance,
  ssim: 0.9,
  mae: 5,
}));
const timed = recordsOf(40).map((record) => ({
  ...record,
  seconds: { step: 1, data: 0.1, forward: 0.3, backward: 0.4, communication: 0.1, optimiser: 0.1 },
}));

/** One figure of each kind. */
export const figures = {
  volume: volumeFigure(body),
  comparison: comparisonFigure(comparisonOf(body, ['linear', 'gaussian & "co" <b>'])),
  run: runFigure(recordsOf(60), { state: 'running', step: 60, steps: 100 }),
  'run with pictures': runFigure(recordsOf(60), { state: 'done', step: 60 }, { slices }),
  'empty run': runFigure([]),
  grid: gridFigure(planGrid([64, 64, 76], { patch: [32, 32, 16], stride: [24, 24, 12] })),
  sweep,
  seams: seamFigure(compared),
  distances: distanceFigure({ linear: distances, gaussian: distances }),
  'worst patches': worstPatchesFigure(body, compared.candidates[0]!.volume, grid, worst, {
    intensity: compared.intensity,
  }),
  codes: codesFigure({ train: [5, 3, 0, 1], validation: [1, 2, 3, 4] }),
  'time of the ranks': rankTimesFigure(timed),
} satisfies Record<string, Figure>;
