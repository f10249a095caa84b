import { measures } from '../../train/settings/measures';
import { short } from '../base/encode';
import { Figure, type Layout, type Trace } from '../base/figure';
import { axisId, axisKey } from '../base/panels';
import type { ShownRecord } from '../base/shown';
import { baseLayout, color, graphAxis, heading, ink } from '../base/theme';

/**
 * Where the time of training steps goes. Left: the time of every rank, its middle half and its median; ranks wait
 * for the slowest, so bars of unequal height are time lost. Right: the parts of a step on rank 0.
 */
export function rankTimesFigure(records: readonly ShownRecord[]): Figure {
  const train = records.filter(({ split }) => split === 'train');
  const ranks = Math.max(0, ...train.map(({ secondsByRank }) => secondsByRank?.length ?? 0));
  const byRank = Array.from({ length: ranks }, (_, rank) =>
    train.flatMap(({ secondsByRank }) => secondsByRank?.[rank] ?? []).sort((a, b) => a - b),
  );
  const data: Trace[] = byRank.flatMap((times, rank) => rankTraces(`rank ${rank}`, times));
  const seconds = train.flatMap((record) => record.seconds ?? []);
  const parts = measures.seconds.parts.filter((part) => part !== 'step' && seconds[0]?.[part] !== undefined);
  const mean = (part: (typeof parts)[number]) =>
    seconds.reduce((sum, step) => sum + (step[part] ?? 0), 0) / seconds.length;
  if (parts.length > 0)
    data.push({
      type: 'bar',
      name: 'parts of a step',
      x: parts,
      y: parts.map((part) => short(mean(part))),
      xaxis: 'x2',
      yaxis: 'y2',
      marker: { color: color(0) },
      showlegend: false,
      hovertemplate: '%{x}<br><b>%{y:.4f} s</b><extra></extra>',
    });
  const two = parts.length > 0;
  const axis = (panel: number, domain: readonly number[], title: string): Layout => ({
    [axisKey('x', panel)]: graphAxis('', { domain, anchor: axisId('y', panel), type: 'category' }),
    [axisKey('y', panel)]: graphAxis(title, { anchor: axisId('x', panel), rangemode: 'tozero', nticks: 6 }),
  });
  const lost = timeLost(train);
  const title = `time of a step by rank · ${(100 * lost).toFixed(1)} % lost to waiting for the slowest`;
  const layout = Object.assign(
    baseLayout(title, 320),
    axis(1, two ? [0, 0.46] : [0, 1], 's'),
    ...(two ? [axis(2, [0.56, 1], 's')] : []),
    {
      annotations: [
        heading('ranks: median and middle half', two ? 0.23 : 0.5, 1),
        ...(two ? [heading('parts of a step, rank 0', 0.78, 1)] : []),
      ],
      margin: { l: 52, r: 16, t: 66, b: 44 },
      showlegend: false,
    },
  );
  return new Figure(data, layout, title);
}

/** The part of all ranks' time that they spend waiting: over steps, 1 - mean over ranks / slowest rank. */
export function timeLost(records: readonly ShownRecord[]): number {
  let [worked, waited] = [0, 0];
  for (const { secondsByRank } of records) {
    if (!secondsByRank || secondsByRank.length === 0) continue;
    const slowest = Math.max(...secondsByRank);
    for (const seconds of secondsByRank) {
      worked += seconds;
      waited += slowest - seconds;
    }
  }
  return worked + waited === 0 ? 0 : waited / (worked + waited);
}

function rankTraces(name: string, sorted: readonly number[]): Trace[] {
  const at = (part: number) => short(sorted[Math.round(part * (sorted.length - 1))] ?? null);
  const place = { xaxis: 'x', yaxis: 'y', showlegend: false };
  return [
    {
      ...place,
      type: 'bar',
      name,
      x: [name],
      y: [at(0.5)],
      width: 0.6,
      marker: { color: color(1 + Number(name.slice(5))) },
      hovertemplate: `${name}<br>median <b>%{y:.4f} s</b><extra></extra>`,
    },
    {
      ...place,
      type: 'scatter',
      mode: 'lines',
      name,
      x: [name, name],
      y: [at(0.25), at(0.75)],
      line: { color: ink, width: 4 },
      hovertemplate: `${name}<br>middle half to <b>%{y:.4f} s</b><extra></extra>`,
    },
  ];
}
