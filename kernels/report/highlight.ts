import { escapeHtml } from '../../src/escape';

const TOKEN =
  /(\/\/[^\n]*|\/\*[\s\S]*?\*\/)|('(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`)|(\b\d[\d_]*(?:\.\d+)?(?:e[+-]?\d+)?\b)|(\b[A-Za-z_$][\w$]*\b)/g;
const KEYWORDS = new Set(
  (
    'abstract as async await break case catch class const continue default delete do else enum export extends false ' +
    'finally for from function if implements import in instanceof interface let new null of return satisfies static ' +
    'super switch this throw true try type typeof undefined var void while yield'
  ).split(' '),
);

/** TypeScript as HTML with its comments, strings, numbers and keywords marked; everything else is only escaped. */
export function highlight(source: string): string {
  let html = '';
  let end = 0;
  for (const match of source.matchAll(TOKEN)) {
    const [token, comment, string, number] = match;
    html += escapeHtml(source.slice(end, match.index));
    const kind = comment
      ? 'comment'
      : string
        ? 'string'
        : number
          ? 'number'
          : KEYWORDS.has(token)
            ? 'keyword'
            : '';
    html += kind ? `<span class="${kind}">${escapeHtml(token)}</span>` : escapeHtml(token);
    end = match.index + token.length;
  }
  return html + escapeHtml(source.slice(end));
}
