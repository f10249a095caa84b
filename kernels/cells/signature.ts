/** Finding the call around a cursor, and the docs of what TypeScript found there. */

interface DocumentedSymbol {
  readonly documentation?: readonly { readonly text: string }[];
  readonly tags?: readonly { readonly name: string; readonly text?: readonly { readonly text: string }[] }[];
}

/** The offset of the bracket that opens the innermost call around `position`, if there is one. */
export function openBracket(code: string, position: number): number | undefined {
  let depth = 0;
  for (let at = position - 1; at >= 0; at--) {
    const character = code[at]!;
    if (character === ')') depth++;
    else if (character === '(' && depth-- === 0) return at;
    else if (character === ';' && depth === 0) return undefined;
  }
  return undefined;
}

/** The offset of the last character before `bracket` that can belong to a function's name. */
export function callBefore(code: string, bracket: number): number {
  let at = Math.min(bracket, code.length) - 1;
  while (at > 0 && /\s/.test(code[at]!)) at--;
  return Math.max(0, at);
}

/** The doc comment with its tags, as markdown. */
export function documentationOf(symbol: DocumentedSymbol): string {
  const body = (symbol.documentation ?? []).map((part) => part.text).join('');
  const tags = (symbol.tags ?? []).map(({ name, text }) => {
    const words = (text ?? []).map((part) => part.text).join('');
    return `*@${name}* ${words}`.trim();
  });
  return [body, ...tags].filter((paragraph) => paragraph !== '').join('\n\n');
}
