/**
 * Writes the lines of a cell that start with `%` out as TypeScript, line for line, so that positions in errors stay
 * true. The functions they call are at a registered symbol (magics.ts).
 */

/** The names, each with its line of `%help`. */
export const MAGICS: Readonly<Record<string, string>> = {
  run: '%run [preset or config.yaml] [key=value …]   start a training run, show it live, call it `run`',
  attach: '%attach [id]   show a run live (the newest, if no id is given) and call it `run`',
  stop: '%stop [id]   stop a run (the one that is running, if no id is given)',
  runs: '%runs   list the runs of this project, newest first',
  time: '%time [code]   how long the code took; alone on the first line, how long the cell took',
  env: '%env [NAME | NAME=value]   show or set variables of the environment',
  types: '%types error|strict|warn|off   what a type error in a cell does',
  help: '%help   this list',
};

/** The notes on cells below the list of `%help`. */
export const NOTES = `
If a name is declared again, all cells use the new one, also functions of earlier cells (tslab: only later cells).
A local file that has changed is loaded again by the next import. Objects made before keep the code they were made with.
An ES module (.js, .mjs) below another local ES module is loaded once: restart the kernel after an edit, or make it a .ts file.
An interrupt does not end a blocking read of a pipe. In a timer, in a handler or after an await it does not end a loop
that counts or waits for a variable, or a loop in plain JavaScript. Restart the kernel then.`;

const LINE = /^([ \t]*)%(%?[a-zA-Z]\w*)(?:[ \t]+(.*))?$/;
const CALL =
  '(globalThis as unknown as Record<symbol, Record<string, (argument?: unknown) => Promise<unknown>>>)' +
  '[Symbol.for("patchwise.magics")]!';
/** The type of a run, for a cell that has not imported the library. */
const RUN = 'import("patchwise").Run';
const STATEMENT =
  /^((const|let|var|using|function|class|if|for|while|do|try|switch|import|export|throw|interface|enum|abstract|declare)\b(?!\()|(type|namespace|async\s+function|await\s+using)\s+\w|(if|for|while|switch)\b)/;

interface ExpandedCell {
  readonly code: string;
  /** The whole cell is to be timed. */
  readonly isTimed: boolean;
  /** The lines that were written out, each with what the user wrote. */
  readonly written: ReadonlyMap<string, string>;
}

/** @throws UnknownMagic */
export function expandMagics(code: string): ExpandedCell {
  const expanded = new Map<string, string>();
  if (!code.includes('%')) return { code, isTimed: false, written: expanded };
  let isTimed = false;
  const starts = codeLines(code, (line) => magicOf(line) !== undefined);
  const lines = code.split('\n').map((line, at) => {
    const magic = starts.has(at) ? magicOf(line) : undefined;
    if (!magic) return line;
    const { name, rest } = magic;
    if (!Object.hasOwn(MAGICS, name))
      throw Object.assign(new Error(`there is no %${name}; %help lists what there is`), {
        name: 'UnknownMagic',
        stack: '', // the kernel's own frames do not help the user
      });
    if (name === 'time' && rest === '') {
      isTimed = true;
      return '';
    }
    const text = written(name, rest);
    expanded.set(text, line);
    return text;
  });
  return { code: lines.join('\n'), isTimed, written: expanded };
}

/** The name and the rest of a `%` line. An indented one with an unknown name may be the end of a division. */
function magicOf(line: string): { name: string; rest: string } | undefined {
  const [, indent, word, rest = ''] = LINE.exec(line.trimEnd()) ?? [];
  const name = word?.replace(/^%/, '');
  if (name === undefined || (indent !== '' && !Object.hasOwn(MAGICS, name))) return undefined;
  return { name, rest: rest.trim() };
}

function written(name: string, given: string): string {
  const rest = name === 'time' ? withoutComment(given) : given;
  const text = JSON.stringify(rest);
  switch (name) {
    case 'run':
    case 'attach':
      return `var run = (await ${CALL}.${name}!(${text})) as ${RUN};`;
    case 'time':
      return STATEMENT.test(rest)
        ? `${CALL}.begin!(); ${rest}; ${CALL}.end!();`
        : `await ${CALL}.time!(async () => (${rest.replace(/;$/, '')}))`;
    default:
      return `await ${CALL}.${name}!(${text});`;
  }
}

/** Comments, strings, regular expressions, and what opens or closes a template literal or ends a line. */
const TOKEN =
  /\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|'(?:\\[\s\S]|[^'\\\n])*'?|"(?:\\[\s\S]|[^"\\\n])*"?|(?<=(?:^|[=(,:[!&|?{};+\n]|return)\s*)\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/|[`{}\n]/g;

/**
 * Which lines of a cell start as code: not within a template literal or a block comment.
 * @param isLine true for a line that is not of the language; it is skipped whole
 */
function codeLines(code: string, isLine: (line: string) => boolean): ReadonlySet<number> {
  const starts = new Set<number>();
  const lines = code.split('\n');
  /** Open template literals, each with the depth of braces inside of its `${`; -1 while in its text. */
  const templates: number[] = [];
  let line = 0;
  let at = 0;
  const begin = (): void => {
    if (templates.at(-1) === -1) return;
    starts.add(line);
    if (isLine(lines[line]!)) at += lines[line]!.length;
  };
  begin();
  while (at < code.length) {
    if (templates.at(-1) === -1) {
      const text = /(?:\\[\s\S]|\$(?!\{)|[^`\\$])*(`|\$\{|$)/y;
      text.lastIndex = at;
      const found = text.exec(code);
      if (!found) return starts;
      line += newLines(found[0]);
      at = text.lastIndex;
      if (found[1] === '`') templates.pop();
      else templates[templates.length - 1] = 0;
      continue;
    }
    TOKEN.lastIndex = at;
    const token = TOKEN.exec(code)?.[0];
    if (token === undefined) return starts;
    at = TOKEN.lastIndex;
    if (token === '\n') {
      line++;
      begin();
    } else if (token === '`') templates.push(-1);
    else if (token === '{' && templates.length > 0) templates[templates.length - 1]!++;
    else if (token === '}' && templates.length > 0) templates[templates.length - 1]!--;
    else line += newLines(token);
  }
  return starts;
}

/** The line without the comment at its end. */
function withoutComment(line: string): string {
  TOKEN.lastIndex = 0; // where a search before this one has stopped
  for (const { 0: token, index } of line.matchAll(TOKEN))
    if (token.startsWith('//') || (token.startsWith('/*') && index + token.length >= line.trimEnd().length))
      return line.slice(0, index).trimEnd();
  return line;
}

function newLines(text: string): number {
  return text.split('\n').length - 1;
}
