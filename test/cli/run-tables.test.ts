import { describe, expect, it } from 'vitest';
import { recordLine } from '../../src/cli/follow';
import { compareLines, listLines, shortened } from '../../src/cli/run-tables';

const status = { state: 'done', step: 40, steps: 40, updated: '2026-01-01T00:00:00.000Z' } as const;

describe('runs as tables', () => {
  it('the list has preset, data and the best validation of each', () => {
    const best = { metric: 'psnr', step: 20, value: 31.234 } as const;
    const run = { ...status, id: 'a', dir: '/runs/a', pids: { ranks: [] }, preset: 'toy' };
    const [head, one, two] = listLines([
      { ...run, data: ['/far/away/p1.nii.gz'], best },
      { ...run, id: 'b', data: ['/p1.nii', '/p2.nii'] },
    ] as never);
    expect(head).toMatch(/^run +state +step +preset +data +best validation +backend +updated$/);
    expect(one).toMatch(/^a +done +40\/40 +toy +p1\.nii\.gz +PSNR 31\.23 dB at 20 +- /);
    expect(two).toMatch(/2 volumes +- +- /);
  });

  it('a comparison fits the terminal and still shows what differs', () => {
    const folder = '/home/somebody/studies/pulmonary-embolism/prepared';
    const differences = [
      { setting: 'data', values: [[`${folder}/a/p001.nii.gz`], [`${folder}/b/p001.nii.gz`]] },
      { setting: 'seed', values: [1, 2] },
    ];
    const results = ['20260101-one', '20260101-two'].map((id) => ({ id, ...status, psnr: 30, bestStep: 20 }));
    const lines = compareLines({ differences, results }, 80);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
    expect(lines[1]).toContain('a/p001.nii.gz');
    expect(lines[1]).toContain('b/p001.nii.gz');
    expect(lines.join('\n')).toMatch(/best validation PSNR, dB +30\.00 +30\.00/);
    expect(shortened(['x/long/name/one', 'y/long/name/one'], 6)).toEqual([
      'x/long/name/one',
      'y/long/name/one',
    ]);
  });

  it('a validation gives MAE as a percentage of the intensity window', () => {
    const line = recordLine({ split: 'validation', step: 8, psnr: 25, mae: 0.169, usage: 0.5 } as never);
    expect(line).toContain('PSNR 25.00 dB  MAE 8.45 % of the intensity window  codes in use 50.0 %');
  });
});
