import { describe, expect, it } from 'vitest';
import { InvalidArgument, InvalidConfig } from '../src/errors';
import { nearest } from '../src/spelling';

const settings = ['steps', 'stride', 'seed', 'patch', 'batch', 'learningRate', 'validateEvery'];

describe('nearest', () => {
  it.each([
    ['stpes', 'steps'],
    ['step', 'steps'],
    ['Batch', 'batch'],
    ['learning_rate', 'learningRate'],
    ['validateevery', 'validateEvery'],
    ['patches', 'patch'],
  ])('%s means %s', (word, meant) => {
    expect(nearest(word, settings)).toBe(meant);
  });

  it.each(['colour', 'x', '', 'entirelyelse'])('%j means none of them', (word) => {
    expect(nearest(word, settings)).toBeUndefined();
  });
});

describe('errors', () => {
  it('ask for the word that was meant', () => {
    expect(new InvalidArgument('window', 'a window', 'gausian', ['linear', 'gaussian']).message).toBe(
      'window: expected a window, received "gausian"; did you mean gaussian? Allowed: linear, gaussian',
    );
  });

  it('do not bury it in a long list', () => {
    const many = [...settings, ...'abcdefgh'].map(String);
    const { message } = new InvalidConfig([
      { key: 'stpes', expected: 'a known setting', received: 'stpes', allowed: many },
    ]);
    expect(message).toBe('setting stpes: expected a known setting, received "stpes"; did you mean steps?');
  });

  it('list nothing where nothing is allowed', () => {
    expect(new InvalidArgument('run', 'the id of a run', 'x', []).message).toBe(
      'run: expected the id of a run, received "x"',
    );
  });
});
