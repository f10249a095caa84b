import { describe, expect, it } from 'vitest';
import { completionFromValues } from '../../../kernels/engine/value-completion';

class Scan {
  readonly voxels = 3;
  get dangerous(): number {
    throw new Error('a getter was called');
  }
  reload(): void {}
}
const names: Record<string, unknown> = { scan: new Scan(), nested: { deep: { deepest: 1, different: 2 } } };
Object.defineProperty(names, 'later', {
  get: () => {
    throw new ReferenceError('not yet');
  },
  enumerable: true,
});
const matches = (code: string, position = code.length) =>
  completionFromValues(code, position, names)?.matches;

describe('completion from values', () => {
  it('knows the names of cells and globals', () => {
    expect(matches('sc')).toEqual(['scan']);
    expect(matches('1 + Arr')).toEqual(expect.arrayContaining(['Array', 'ArrayBuffer']));
    expect(matches('')).toBeUndefined();
  });

  it('knows members, own and inherited, without calling a getter', () => {
    expect(matches('scan.')).toEqual(['constructor', 'dangerous', 'reload', 'voxels']);
    expect(matches('scan.dangerous.x')).toBeUndefined();
    expect(matches('nested.deep.d')).toEqual(['deepest', 'different']);
    expect(matches('console.lo')).toEqual(['log']);
    expect(matches('later.')).toBeUndefined();
    expect(matches('nowhere.')).toBeUndefined();
  });

  it('replaces what was typed, in the line and at the place of the cursor', () => {
    const code = 'const a = 1;\nscan.RE + a';
    expect(completionFromValues(code, 20, names)).toEqual({
      matches: ['reload'],
      kinds: ['method'],
      start: 18,
      end: 20,
    });
  });

  it('answers nothing in a string, behind a call or in a comment', () => {
    for (const code of ["'scan.", 'f("a", "scan.', 'f().sc', 'scan[0].v', '// scan.'])
      expect(matches(code), code).toBeUndefined();
    expect(matches("f('a', scan.v")).toEqual(['voxels']);
  });
});
