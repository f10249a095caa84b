import { expect, it } from 'vitest';
import { hide, unhide } from '../../../kernels/browser/viewer/voxels/memory';

it('viewers out of sight forget, those that left first, when they hold too much together', () => {
  const forgotten: string[] = [];
  const viewer = (name: string, bytes: number) => ({ bytes, forget: () => forgotten.push(name) });
  const [first, second, third, fourth] = [
    viewer('first', 40),
    viewer('second', 40),
    viewer('third', 40),
    viewer('fourth', 50),
  ];
  hide(first, 100);
  hide(second, 100);
  expect(forgotten).toEqual([]);
  unhide(first); // seen again
  hide(third, 100);
  expect(forgotten).toEqual([]);
  hide(first, 100);
  expect(forgotten).toEqual(['second']);
  unhide(third);
  hide(fourth, 100);
  expect(forgotten).toEqual(['second']);
});
