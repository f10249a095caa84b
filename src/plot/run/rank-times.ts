import { measures } from '../../train/settings/measures';
import { short } from '../base/encode';
import type { ShownRecord } from '../base/shown';
import { color, ink } from '../base/theme';
import { Drawing } from '../figure/drawing';
import type { Figure } from '../figure/figure';

/**
 * Where the time of training steps goes. Left: the time of every rank, its middle half and its median; ranks wait
 * for the slowest, so bars of unequal height are time lost. Right: the parts of a step on rank 0.
 */
export function rankTimesFigure(records: readonly ShownRecord[]): Figure {
  const train = records.filter(({ split }) => split === 'train');
  const ranks = Math.max(0, ...train.map(({ secondsByRank }) => secondsByRank?.length ?? 0));
  const seconds = train.flatMap((record) => record.seconds ?? []);
  const parts = measures.seconds.parts.filter((part) => part !== 'step' && seconds[0]?.[part] !== undefined);
  const drawing = new Drawing();
  const hasParts = parts.length > 0;
  const [x, y] = [{ type: 'category' }, { title: 's', rangemode: 'tozero', nticks: 6 }];
  const left = { x: hasParts ? ([0, 0.46] as const) : ([0, 1] as const) };
  const axes = { ...drawing.addGraph(1, 'ranks: median and middle half', left, x, y), showlegend: false };
  for (let rank = 0; rank < ranks; rank++) {
    const times = train.flatMap(({ secondsByRank }) => secondsByRank?.[rank] ?? []).sort((a, b) => a - b);
    const at = (part: number) => short(times[Math.round(part * (times.length - 1))] ?? null);
    const name = `rank ${rank}`;
    drawing.data.push(
      {
        ...axes,
        type: 'bar',
        name,
        x: [name],
        y: [at(0.5)],
        width: 0.6,
        marker: { color: color(1 + rank) },
        hovertemplate: `${name}<br>median <b>%{y:.4f} s</b><extra></extra>`,
      },
      {
        ...axes,
        type: 'scatter',
        mode: 'lines',
        name,
        x: [name, name],
        y: [at(0.25), at(0.75)],
        line: { color: ink, width: 4 },
        hovertemplate: `${name}<br>middle half to <b>%{y:.4f} s</b><extra></extra>`,
      },
    );
  }
  if (hasParts) {
    const mean = (part: (typeof parts)[number]) =>
      seconds.reduce((sum, step) => sum + (step[part] ?? 0), 0) / seconds.length;
    drawing.data.push({
      ...drawing.addGraph(2, 'parts of a step, rank 0', { x: [0.56, 1] }, x, y),
      type: 'bar',
      name: 'parts of a step',
      showlegend: false,
      marker: { color: color(0) },
      x: parts,
      y: parts.map((part) => short(mean(part))),
      hovertemplate: '%{x}<br><b>%{y:.4f} s</b><extra></extra>',
    });
  }
  const lost = (100 * timeLost(train)).toFixed(1);
  const title = `time of a step by rank · ${lost} % lost to waiting for the slowest`;
  return drawing.figure(title, 320, { margin: { l: 52, r: 16, t: 66, b: 44 }, showlegend: false });
}

/** The part of all ranks' time that they spend waiting: over steps, 1 - mean over ranks / slowest rank. */
function timeLost(records: readonly ShownRecord[]): number {
  let [worked, waited] = [0, 0];
  for (const { secondsByRank = [] } of records) {
    const slowest = Math.max(...secondsByRank);
    for (const seconds of secondsByRank) {
      worked += seconds;
      waited += slowest - seconds;
    }
  }
  return worked + waited === 0 ? 0 : waited / (worked + waited);
}
