/** Which parts of TypeScript's library the running Node has, and which names @types/node declares that it lacks. */
import { readFileSync } from 'node:fs';
import ts from 'typescript';
import type { PlacedMessage } from '../cells/compile';

const has = (owner: unknown, name: string): boolean => name in Object(owner);
const global = globalThis as Record<string, unknown>;

/** Later than ES2023, each with what shows that V8 has it. */
const PARTS: readonly (readonly [lib: string, isThere: boolean])[] = [
  ['es2024.string', has(String.prototype, 'isWellFormed')],
  ['es2024.arraybuffer', has(ArrayBuffer.prototype, 'transfer')],
  ['es2024.sharedmemory', has(Atomics, 'waitAsync')],
  ['es2024.object', has(Object, 'groupBy')],
  ['es2024.collection', has(Map, 'groupBy')],
  ['es2024.promise', has(Promise, 'withResolvers')],
  ['es2024.regexp', has(RegExp.prototype, 'unicodeSets')],
  ['es2025.collection', has(Set.prototype, 'union')],
  ['es2025.iterator', has(global, 'Iterator')],
  ['es2025.promise', has(Promise, 'try')],
  ['es2025.regexp', has(RegExp, 'escape')],
  ['es2025.float16', has(global, 'Float16Array')],
  ['esnext.array', has(Array, 'fromAsync')],
  ['esnext.error', has(Error, 'isError')],
  ['esnext.typedarrays', has(Uint8Array, 'fromBase64')],
  ['esnext.disposable', true], // `using` is compiled to what every Node has
];

export function libraryFiles(): string[] {
  const parts = PARTS.filter(([, isThere]) => isThere).map(([name]) => name);
  return ['es2023', ...parts].map((name) => `lib.${name}.d.ts`);
}

/** Declared by the types that come with this package, and not there in every Node. */
const NOT_EVERYWHERE = (
  'WebSocket CloseEvent EventSource ErrorEvent Storage localStorage sessionStorage Navigator Iterator ' +
  'URLPattern DisposableStack AsyncDisposableStack SuppressedError'
).split(' ');

/** Uses of global names that the types declare and this Node lacks, except names that the cell tests with `typeof`. */
export function absentNames(file: ts.SourceFile, checker: ts.TypeChecker, offset: number): PlacedMessage[] {
  const names = NOT_EVERYWHERE.filter((name) => !(name in globalThis) && file.identifiers.has(name));
  if (names.length === 0) return [];
  const asked = new Set<string>();
  const used: ts.Identifier[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isTypeOfExpression(node) && ts.isIdentifier(node.expression)) asked.add(node.expression.text);
    else if (ts.isIdentifier(node) && names.includes(node.text) && ts.isExpressionNode(node)) used.push(node);
    ts.forEachChild(node, visit);
  };
  visit(file);
  const isDeclaredByTypes = (node: ts.Identifier): boolean =>
    checker
      .getSymbolAtLocation(node)
      ?.declarations?.every((declaration) => declaration.getSourceFile().isDeclarationFile) ?? false;
  return used
    .filter((node) => !asked.has(node.text) && isDeclaredByTypes(node))
    .map((node) => ({
      offset: node.getStart(file) - offset,
      text: `Cannot find name '${node.text}': Node ${process.version} does not have it.`,
    }));
}

/** Global names that Node has and neither @types/node nor the parts above declare. @param dom the path of lib.dom.d.ts */
export function moreGlobals(dom: string): string {
  const navigator = 'navigator' in globalThis ? NAVIGATOR : '';
  return `type BufferSource = ArrayBufferView<ArrayBuffer> | ArrayBuffer;\n${webAssembly(dom)}\n${navigator}`;
}

/** The only part of lib.dom.d.ts that Node has. */
function webAssembly(dom: string): string {
  const text = readFileSync(dom, 'utf8');
  const start = text.indexOf('declare namespace WebAssembly {');
  const end = text.indexOf('\n}\n', start);
  return start < 0 || end < 0 ? 'declare var WebAssembly: any;' : text.slice(start, end + 3);
}

const NAVIGATOR = `declare var navigator: {
  readonly hardwareConcurrency: number;
  readonly language: string;
  readonly languages: readonly string[];
  readonly platform: string;
  readonly userAgent: string;
};`;
