import { expect, it } from 'vitest';
import { stepRows } from '../../bench/step-rows';
import { autocast, channelsLast, contiguous, type Side, type Turn } from '../../bench/step-sides';

/** A side that has trained; of its two turns the first two of four steps are not timed. */
function side(name: string, slow: number, losses: number[], codes: number[][], ties?: number[]): Side {
  const turn = (from: number): Turn => ({
    ms: from === 0 ? [999, 999] : [slow, slow],
    losses: losses.slice(from, from + 2),
    codes: codes.slice(from, from + 2),
    ...(ties ? { ties: ties.slice(from, from + 2) } : {}),
    peak: 10 * slow,
  });
  return { name, turns: [turn(0), turn(2)] } as unknown as Side;
}

const same = [
  [1, 2],
  [1, 2],
  [1, 2],
  [1, 2],
];
const ours = side('libtorch', 5, [4, 3, 2, 1], same);
const reference = side(contiguous, 20, [4, 3.25, 2, 1], same, [0, 1, 0, 2]);
const other = side(
  channelsLast,
  10,
  [4, 3, 2, 3],
  [
    [1, 2],
    [1, 2],
    [1, 0],
    [1, 2],
  ],
  [0, 0, 0, 1],
);
const short = { name: autocast, turns: [], unable: 'out of memory' } as unknown as Side;

it('compares with the fastest peer first, by steps after the first two', () => {
  const rows = stepRows('toy', 5e9, ours, [reference, other]);
  expect(rows.slice(0, 3).map(({ metric, ours, peer, ratio }) => [metric, ours, peer, ratio])).toEqual([
    ['step', 5, 10, 0.5],
    ['rate', 1, 0.5, 2],
    ['peak memory above the weights', 50, 100, 0.5],
  ]);
  expect(rows[3]).toMatchObject({ metric: 'step', peer: 20, peerName: contiguous });
});

it('says how far losses go from the reference, and while codes are the same', () => {
  const figures = new Map(stepRows('toy', 1, ours, [reference, other]).map((row) => [row.metric, row]));
  const largest = figures.get("largest distance of 4 losses from PyTorch's contiguous");
  expect(largest).toMatchObject({ ours: 0.25, peer: 2 });
  const before = figures.get('the same, while each latent has the same code');
  expect(before).toMatchObject({ ours: 0.25, peer: 0.25 });
  const agreed = figures.get('steps of 4 until a latent has another code');
  expect(agreed).toMatchObject({ ours: 4, peer: 2 });
  expect(figures.get('latents as near to two codes, decided alike')).toMatchObject({ ours: 3, peer: 1 });
});

it('names a peer that was unable, and compares no losses without the reference', () => {
  const rows = stepRows('toy', 1, ours, [other, short]);
  expect(rows.map(({ peerName }) => peerName)).toEqual([
    ...[channelsLast, channelsLast, channelsLast],
    `${autocast} (out of memory)`,
  ]);
  expect(rows.at(-1)).toMatchObject({ ours: 5, peer: null, ratio: null });
});
