/** Whether a front end's Enter key should run a cell or go on to the next line. */
import ts from 'typescript';
import { isTooDeep } from './compile';
import { options } from './emit';
import type { Completeness } from './engine';
import { parsed } from './syntax';

const INDENT = '  ';
/** The number of TypeScript's error for an unterminated string. */
const UNTERMINATED_STRING = 1002;
/** Alone, these are errors to the parser. */
const KEYWORD = /(^|[;}\n])\s*(import|export)$/;

export function completenessOf(code: string): Completeness {
  try {
    const { parseDiagnostics, statements } = parsed('cell.ts', code, options);
    const [first] = parseDiagnostics;
    const last = statements.at(-1);
    // It ends with `const` or `var`.
    const lacksNames =
      last !== undefined && ts.isVariableStatement(last) && last.declarationList.declarations.length === 0;
    if (!first && !lacksNames) return { status: 'complete' };
    // Only the end of the text is a token of no length: before it nothing is wrong, so the text may go on.
    const isAtEnd = lacksNames || first?.length === 0 || KEYWORD.test(code.trim());
    if (!isAtEnd || first?.code === UNTERMINATED_STRING) return { status: 'invalid' };
  } catch (error) {
    if (isTooDeep(error)) return { status: 'complete' }; // the cell says so when it is run
    throw error;
  }
  const line = code.trimEnd().split('\n').at(-1) ?? '';
  const indent = /^\s*/.exec(line)![0] + (/[{([]$/.test(line) ? INDENT : '');
  return { status: 'incomplete', indent };
}
