import { describe, expect, it } from 'vitest';
import { levelled, seamFigure } from '../../../src/plot/comparison/seams';

const offsets = Array.from({ length: 33 }, (_, i) => i - 16);

describe('the profile of a seam', () => {
  it.each([2, 4])(
    'is without the up and down of a decoder that repeats after %d voxels, and keeps its seam',
    (period) => {
      const phase = (offset: number) => ((offset % period) + period) % period;
      const jump = offsets.map((offset) => (10 + 4 * phase(offset)) * (offset === 0 ? 1.5 : 1));
      const level = levelled({ name: 'a', axis: 'x', offsets, jump, period });
      const others = level.filter((_, i) => offsets[i] !== 0);
      for (const value of others) expect(value).toBeCloseTo(others[0]!, 9);
      expect(level[16]! / others[0]!).toBeCloseTo(1.5, 9);
    },
  );

  it('stays as it is where no model was, and where a phase has no value', () => {
    const jump = offsets.map((offset) => 10 + Math.abs(offset % 2));
    const profile = { name: 'original', axis: 'x' as const, offsets, jump };
    expect(levelled(profile)).toBe(jump);
    const gone = { ...profile, period: 2, jump: jump.map((value, i) => (i % 2 === 0 ? value : Number.NaN)) };
    expect(levelled(gone)).toBe(gone.jump);
  });

  it('is drawn bold over what was measured, with a word on it, and every axis is named', () => {
    const jump = offsets.map((offset) => 10 + Math.abs(offset % 2));
    const profiles = (['x', 'y'] as const).flatMap((axis) => [
      { name: 'original', axis, offsets, jump },
      { name: 'linear', axis, offsets, jump, period: 2 },
    ]);
    const intensity = { name: 'ctpa', low: -200, high: 500, units: 'HU' as const };
    const { data, layout } = seamFigure({ seamProfiles: profiles, intensity });
    expect(data.filter(({ opacity }) => opacity !== undefined)).toHaveLength(2);
    expect(data.filter(({ showlegend }) => showlegend !== false).map(({ name }) => name)).toEqual([
      'original',
      'linear',
    ]);
    const texts = (layout.annotations as { text: string }[]).map(({ text }) => text);
    expect(texts).toContain("bold: without the decoder's own up and down · faint: as measured");
    for (const key of ['xaxis', 'xaxis2'])
      expect(layout[key]).toMatchObject({ title: { text: 'voxels from the border' } });
    for (const key of ['yaxis', 'yaxis2'])
      expect(layout[key]).toMatchObject({ title: { text: 'mean jump, HU' } });
  });
});
