import { describe, expect, it } from 'vitest';
import { InvalidArgument, isPatchwiseError } from '../src/errors';

describe('the tag of an error', () => {
  const error = new InvalidArgument('steps', 'a number', 'ten');

  it('is a value of its own, which copies and JSON keep', () => {
    expect({ ...error }.tag).toBe('InvalidArgument');
    expect(JSON.parse(JSON.stringify(error))).toMatchObject({ tag: 'InvalidArgument', argument: 'steps' });
  });

  it('stays the same in a subclass, and under another name', () => {
    class Own extends InvalidArgument {}
    const own = new Own('steps', 'a number', 'ten');
    own.name = 'Mine';
    expect(isPatchwiseError(own, 'InvalidArgument')).toBe(true);
  });
});
