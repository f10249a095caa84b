/**
 * The types of cells, by the stock TypeScript LanguageService. A program with its checker takes hundreds of
 * milliseconds to make, a cell a few to check: so the program stays and cells join it as guests. A guest is parsed and
 * bound by itself and then answered for by the program's own lookup functions; it is a module, so the checker need not
 * merge it with anything. Only what brings new files in (an import not seen before, a changed local file, `declare
 * global`) makes a new program.
 */
import { join } from 'node:path';
import ts from 'typescript';
import type { PlacedMessage } from '../cells/compile';
import type { Completion, Inspection } from '../cells/engine';
import { askAround, documentationOf } from '../cells/signature';
import { hasModifier, topLevelNames } from '../cells/syntax';
import { completionOf, readable } from './answers';
import { augmentsGlobals, type Declared, exportsOf, GUEST, importedBy, importsOf } from './guest-text';
import { CheckerHost } from './host';
import { absentNames } from './node-library';

/** The lookups of a program that answer for guests, some beyond its public type. */
interface OpenProgram extends ts.Program {
  getSourceFile(fileName: string): ts.SourceFile | undefined;
  getResolvedModule(file: ts.SourceFile, name: string, mode: unknown): object | undefined;
  getResolvedModuleFromModuleSpecifier(
    specifier: ts.StringLiteralLike,
    file?: ts.SourceFile,
  ): object | undefined;
}

interface Guest {
  readonly file: ts.SourceFile;
  /** Length of what stands before the cell's own text. */
  readonly offset: number;
}

/** Guests leave traces in the checker's tables. After so many a new checker is made. */
const MOST_GUESTS = 500;
/** TypeScript's code for a text with too many branches to follow. It gives types up then, for all that it checks later. */
const TOO_MANY_BRANCHES = 2563;

export class CellChecker {
  readonly #host: CheckerHost;
  readonly #service: ts.LanguageService;
  readonly #guests = new Map<string, Guest>();
  readonly #names = new Map<string, Declared>();
  #program: ts.Program | undefined;
  #transient = 0;
  /** The cell that was checked last: it may be running, its names not given yet. */
  #newest = '';
  /** Guests that the present checker has seen. */
  #seen = 0;

  constructor(private readonly folder: string) {
    this.#host = new CheckerHost(folder);
    this.#service = ts.createLanguageService(this.#host, this.#host.registry);
    this.#names.set('pw', { module: this.#host.preloadedModule, isVariable: false });
  }

  /** Makes the program and has V8 compile what every cell needs. */
  prepare(): void {
    this.check('const warm: number = Math.max(1); pw.version; console.log(warm)', '0-prepare');
    this.complete('Math.ma', 7);
  }

  /** The type errors of a cell, placed. `cell` names it from now on; a name is checked once. */
  check(code: string, cell: string): PlacedMessage[] {
    const name = `${GUEST}cell-${cell}`;
    this.#host.augment(name, augmentsGlobals(code) ? code : undefined);
    this.#newest = name;
    const { file, offset } = this.#admit(code, name, { isCell: true });
    const program = this.#current(name);
    const options = program.getCompilerOptions();
    const found = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)];
    if (found.some(({ code: number }) => number === TOO_MANY_BRANCHES)) this.#seen = MOST_GUESTS;
    const errors = found
      .filter(({ category }) => category === ts.DiagnosticCategory.Error)
      .filter(({ code: number }) => number !== TOO_MANY_BRANCHES)
      .filter(({ start = 0, code: number }) => start >= offset && !(options.noCheck && number))
      .map(({ start = 0, messageText }) => ({
        offset: Math.min(start - offset, code.length),
        text: readable(ts.flattenDiagnosticMessageText(messageText, '\n')),
      }));
    return [...errors, ...absentNames(file, program.getTypeChecker(), offset)];
  }

  /** The cell has run: from now on `given`, of the values that it declares, and its types are known to later cells. */
  given(cell: string, given: readonly string[]): void {
    const name = `${GUEST}cell-${cell}`;
    const guest = this.#guests.get(this.#pathOf(name));
    if (!guest) return;
    const { file, offset } = guest;
    for (const [declared, { flags, declarations = [] }] of topLevelNames(file)) {
      if (declarations.every(({ end }) => end <= offset)) continue; // one that our first line brings in
      const isImport = (flags & ts.SymbolFlags.Alias) !== 0;
      const isValue = (flags & ts.SymbolFlags.Value) !== 0;
      const isAmbient = declarations.every((node) => hasModifier(node, ts.ModifierFlags.Ambient));
      if (isValue && !isImport && !given.includes(declared) && !isAmbient) continue;
      const [declaration] = declarations;
      const isVariable =
        (flags & ts.SymbolFlags.Variable) !== 0 &&
        declaration !== undefined &&
        !(ts.getCombinedNodeFlags(declaration) & ts.NodeFlags.Constant);
      this.#names.set(declared, { module: name, isVariable });
    }
  }

  complete(code: string, position: number): Completion {
    // A name that the text does not mention may be meant if it begins like the last word.
    const typed = /(?:^|[^.\w$])([\w$]*)$/.exec(code.slice(0, position))?.[1];
    const name = this.#transientName();
    const { file, offset } = this.#admit(code, name, { isCell: false, typed });
    this.#current(name);
    const at = position + offset;
    const found = this.#service.getCompletionsAtPosition(file.fileName, at, {
      includeCompletionsForModuleExports: false,
      includeCompletionsWithInsertText: false,
    });
    return completionOf(found, code, position, offset);
  }

  inspect(code: string, position: number): Inspection | undefined {
    const name = this.#transientName();
    const { file, offset } = this.#admit(code, name, { isCell: false });
    this.#current(name);
    const info = askAround(code, position, (at) =>
      this.#service.getQuickInfoAtPosition(file.fileName, at + offset),
    );
    if (!info) return undefined;
    const signature = ts.displayPartsToString(info.displayParts);
    return { signature: readable(signature), documentation: documentationOf(info) };
  }

  #transientName(): string {
    return `${GUEST}text-${++this.#transient}`;
  }

  #pathOf(name: string): string {
    return join(this.folder, `${name}.ts`).replaceAll('\\', '/');
  }

  /** Parses and binds the code as a module that sees the names of earlier cells that it mentions or may go on to. */
  #admit(
    code: string,
    name: string,
    { isCell, typed }: { isCell: boolean; typed?: string | undefined },
  ): Guest {
    const path = this.#pathOf(name);
    const bare = this.#host.parse(path, code);
    const own = topLevelNames(bare);
    const start = typed?.toLowerCase();
    const isMeant = (known: string): boolean =>
      bare.identifiers.has(known) || (start !== undefined && known.toLowerCase().startsWith(start));
    const visible = [...this.#names].filter(([known]) => !own.has(known) && isMeant(known));
    const first = importsOf(visible);
    const end = isCell ? exportsOf(bare) : '';
    const file = first === '' && end === '' ? bare : this.#host.parse(path, `${first}${code}${end}`);
    if (!isCell) this.#guests.delete(this.#pathOf(`${GUEST}text-${this.#transient - 1}`));
    const guest = { file, offset: first.length };
    this.#guests.set(path, guest);
    this.#host.require(importedBy(file));
    return guest;
  }

  /** The present program, with the guests in it; a new one if the old one lacks something. @param asked the guest it is for */
  #current(asked: string): ts.Program {
    if (++this.#seen > MOST_GUESTS) {
      this.#seen = 0;
      this.#forgetUnused(asked);
      this.#host.renew();
    }
    const program = this.#service.getProgram()!;
    if (program !== this.#program) {
      this.#program = program;
      this.#host.noteFiles(program);
      this.#open(program as OpenProgram);
    }
    return program;
  }

  /** Forgets the cells whose names neither later cells nor the types of a remaining cell use; never `asked`. */
  #forgetUnused(asked: string): void {
    const used = new Set<string>();
    const use = (name: string): void => {
      const path = this.#pathOf(name);
      const guest = this.#guests.get(path);
      if (!guest || used.has(path)) return;
      used.add(path);
      for (const match of guest.file.text.slice(0, guest.offset).matchAll(/"(~[^"]+)"/g)) use(match[1]!);
    };
    for (const name of [asked, this.#newest]) use(name);
    for (const { module } of this.#names.values()) use(module);
    for (const path of this.#guests.keys()) if (!used.has(path)) this.#guests.delete(path);
  }

  /** Makes the program's lookups answer for guests. The checker looks files and imports up through these only. */
  #open(program: OpenProgram): void {
    const { getSourceFile, getResolvedModule, getResolvedModuleFromModuleSpecifier } = program;
    const resolve = (name: string): object => {
      if (!name.startsWith(GUEST)) return this.#host.resolve(name);
      const resolvedFileName = this.#pathOf(name);
      return { resolvedModule: { resolvedFileName, extension: '.ts', isExternalLibraryImport: false } };
    };
    program.getSourceFile = (path) => this.#guests.get(path)?.file ?? getSourceFile(path);
    program.getResolvedModule = (file, name, mode) =>
      this.#guests.get(file.fileName)?.file === file ? resolve(name) : getResolvedModule(file, name, mode);
    program.getResolvedModuleFromModuleSpecifier = (specifier, file) =>
      this.#guests.has((file ?? specifier.getSourceFile()).fileName)
        ? resolve(specifier.text)
        : getResolvedModuleFromModuleSpecifier(specifier, file);
  }
}
