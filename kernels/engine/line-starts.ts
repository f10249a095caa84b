/** Which lines of a cell start as code: not within a template literal or a block comment. */

/** What stands at one place of the code, and how far it goes. */
const TOKEN =
  /\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|'(?:\\[\s\S]|[^'\\\n])*'?|"(?:\\[\s\S]|[^"\\\n])*"?|(?<=(?:^|[=(,:[!&|?{};+\n]|return)\s*)\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/|[`{}\n]/g;

/** @param isLine true for a line that is none of the language's, to be passed over whole */
export function codeLines(code: string, isLine: (line: string) => boolean): ReadonlySet<number> {
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
export function withoutComment(line: string): string {
  TOKEN.lastIndex = 0; // where a search before this one has stopped
  for (const { 0: token, index } of line.matchAll(TOKEN))
    if (token.startsWith('//') || (token.startsWith('/*') && index + token.length >= line.trimEnd().length))
      return line.slice(0, index).trimEnd();
  return line;
}

function newLines(text: string): number {
  return text.split('\n').length - 1;
}
