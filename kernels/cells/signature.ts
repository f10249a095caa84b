/** Finding the call around a cursor, and the docs of what TypeScript found there. */

interface DocumentedSymbol {
  readonly documentation?: readonly { readonly text: string }[];
  readonly tags?: readonly { readonly name: string; readonly text?: readonly { readonly text: string }[] }[];
}

/**
 * What `ask` says of the word at the cursor, of the one before it, or of the function whose call is around it: between
 * the brackets of a call a reader asks about the function.
 */
export function askAround<T>(
  code: string,
  position: number,
  ask: (at: number) => T | undefined,
): T | undefined {
  const bracket = openBracket(code, position) ?? position;
  return ask(position) ?? ask(Math.max(0, position - 1)) ?? ask(callBefore(code, bracket));
}

/** The offset of the bracket that opens the innermost call around `position`, if there is one. */
function openBracket(code: string, position: number): number | undefined {
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
function callBefore(code: string, bracket: number): number {
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
