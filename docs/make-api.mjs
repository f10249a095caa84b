// Writes docs/API.md: every public name with its signature and its docstring, from src/index.ts. npm run docs
import { writeFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import ts from 'typescript';

const root = resolve(import.meta.dirname, '..');
const entry = resolve(root, 'src/index.ts');
const { config } = ts.readConfigFile(resolve(root, 'tsconfig.json'), ts.sys.readFile);
const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
const program = ts.createProgram([entry], { ...options, noEmit: true });
const checker = program.getTypeChecker();
const module = checker.getSymbolAtLocation(program.getSourceFile(entry));

/** The folder of src/ a name comes from: the chapters of the reference. */
const chapters = new Map();
for (const exported of checker.getExportsOfModule(module)) {
  const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
  const declaration = symbol.declarations?.[0];
  if (!declaration) continue;
  const file = relative(resolve(root, 'src'), declaration.getSourceFile().fileName);
  const chapter = file.includes('/') ? file.split('/')[0] : file.replace(/\.ts$/, '');
  if (!chapters.has(chapter)) chapters.set(chapter, []);
  chapters.get(chapter).push({ name: exported.name, symbol, declaration, file });
}

function docOf(symbol) {
  const text = ts.displayPartsToString(symbol.getDocumentationComment(checker));
  const tags = symbol.getJsDocTags(checker).map(({ name, text: parts }) => {
    const words = ts.displayPartsToString(parts);
    return name === 'param' ? `- ${words.replace(/^(\S+)/, '`$1`')}` : `- **${name}** ${words}`;
  });
  return [text, tags.join('\n')].filter(Boolean).join('\n\n');
}

const printer = ts.createPrinter({ removeComments: true });

/** The declaration without its body: what a caller sees. */
function signatureOf({ symbol, declaration }) {
  const print = (node) => printer.printNode(ts.EmitHint.Unspecified, node, declaration.getSourceFile());
  if (ts.isInterfaceDeclaration(declaration) || ts.isTypeAliasDeclaration(declaration))
    return declaration.getText();
  if (ts.isFunctionDeclaration(declaration))
    return symbol.declarations
      .map(
        (one) =>
          `${print(ts.factory.createFunctionDeclaration(one.modifiers, one.asteriskToken, one.name, one.typeParameters, one.parameters, one.type, undefined))}`,
      )
      .join('\n');
  if (ts.isClassDeclaration(declaration)) {
    const members = declaration.members
      .filter((member) => !hidden(member))
      .map((member) => `  ${headOf(member)}`);
    return `class ${symbol.name} {\n${members.join('\n')}\n}`;
  }
  const type = checker.typeToString(checker.getTypeOfSymbolAtLocation(symbol, declaration));
  return `const ${symbol.name}: ${type}`;
}

/** A member with its docstring, up to its body or its value. */
function headOf(member) {
  const source = member.getSourceFile().text;
  const end = member.body?.getStart() ?? member.initializer?.getFullStart() ?? member.getEnd();
  const text = source.slice(member.getStart(undefined, true), end);
  return `${text.trim().replace(/\s*[=;]$/, '')};`;
}

function hidden(member) {
  const flags = ts.getCombinedModifierFlags(member);
  return (
    (flags & (ts.ModifierFlags.Private | ts.ModifierFlags.Protected)) !== 0 ||
    (member.name && ts.isPrivateIdentifier(member.name))
  );
}

const lines = [
  '# Public names',
  '',
  'Made by `npm run docs` from the docstrings of `src/index.ts`. In a notebook they are all below `pw`.',
];
let count = 0;
for (const [chapter, names] of [...chapters].sort(([a], [b]) => (a < b ? -1 : 1))) {
  lines.push('', `## ${chapter}`);
  for (const one of names.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    lines.push(
      '',
      `### ${one.name}`,
      '',
      ...[docOf(one.symbol)].filter(Boolean).flatMap((text) => [text, '']),
      '```ts',
      signatureOf(one),
      '```',
      '',
      `\`src/${one.file}\``,
    );
    count++;
  }
}
writeFileSync(resolve(root, 'docs/API.md'), `${lines.join('\n')}\n`);
console.log(`wrote docs/API.md: ${count} names`);
