/**
 * What tslab's converter gets wrong about a cell, put right before and after it:
 * - `{ linear }` where `linear` is of an earlier cell: tslab makes `exports.linear` of such names but forgets
 *   shorthand properties. Written out as `{ linear: linear }` it is right.
 * - `for await` at the top of a cell: tslab runs a cell as an async function only if it sees an `await` expression.
 */
import type * as TypeScript from '@tslab/typescript-for-tslab';

export interface PreparedCell {
  /** The code for the converter; its lines are those of the cell. */
  readonly code: string;
  readonly hasTopLevelForAwait: boolean;
}

export function prepareCell(typescript: typeof TypeScript, code: string): PreparedCell {
  const file = typescript.createSourceFile('cell.ts', code, typescript.ScriptTarget.Latest, false);
  const shorthands: { start: number; name: string }[] = [];
  let hasTopLevelForAwait = false;
  const visit = (node: TypeScript.Node, inFunction: boolean): void => {
    if (typescript.isShorthandPropertyAssignment(node)) {
      shorthands.push({ start: node.name.getStart(file), name: node.name.text });
    }
    if (typescript.isForOfStatement(node) && node.awaitModifier && !inFunction) hasTopLevelForAwait = true;
    const inside = inFunction || typescript.isFunctionLike(node) || typescript.isClassLike(node);
    typescript.forEachChild(node, (child) => visit(child, inside));
  };
  visit(file, false);
  const expanded = shorthands.reduceRight(
    (text, { start, name }) => `${text.slice(0, start)}${name}: ${text.slice(start)}`,
    code,
  );
  return { code: expanded, hasTopLevelForAwait };
}
