/** Whether a front end's Enter key should run a cell or go on to the next line. */
import { isTooDeep } from './compile';
import type { CellEmitter } from './emit';
import type { Completeness } from './engine';

const INDENT = '  ';
/** A text that ends with its line, whatever follows. */
const UNTERMINATED_STRING = 1002;
/** The parser takes these alone for a fault. */
const KEYWORD = /(^|[;}\n])\s*(import|export)$/;

interface Diagnostic {
  readonly code: number;
  readonly length: number;
}

interface Parsed {
  readonly diagnostics: readonly Diagnostic[];
  /** It ends with `const` or `var`. */
  readonly lacksNames: boolean;
}

export function completenessOf(emitter: CellEmitter, code: string): Completeness {
  const { diagnostics, lacksNames } = parsed(emitter, code);
  const [first] = diagnostics;
  if (!first && !lacksNames) return { status: 'complete' };
  // Only the end of the text is a token of no length: before it nothing is wrong, so the text may go on.
  const isAtEnd = lacksNames || first?.length === 0 || KEYWORD.test(code.trim());
  if (!isAtEnd || first?.code === UNTERMINATED_STRING) return { status: 'invalid' };
  const line = code.trimEnd().split('\n').at(-1) ?? '';
  const indent = /^\s*/.exec(line)![0] + (/[{([]$/.test(line) ? INDENT : '');
  return { status: 'incomplete', indent };
}

function parsed(emitter: CellEmitter, code: string): Parsed {
  const { typescript: ts } = emitter;
  try {
    const file = emitter.parse(code, 'cell.ts');
    const { parseDiagnostics: diagnostics } = file as unknown as { parseDiagnostics: Diagnostic[] };
    const last = file.statements.at(-1);
    const lacksNames =
      last !== undefined && ts.isVariableStatement(last) && last.declarationList.declarations.length === 0;
    return { diagnostics, lacksNames };
  } catch (error) {
    if (isTooDeep(error)) return { diagnostics: [], lacksNames: false }; // the cell says so when it is run
    throw error;
  }
}
