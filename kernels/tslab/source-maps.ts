/** Makes the compiler inside tslab keep the source maps of both of its steps (see cells/source.ts). */
import type * as TypeScript from '@tslab/typescript-for-tslab';

const INLINE_MAP = /\n?\/\/# sourceMappingURL=data:application\/json;base64,([\w+/=]+)\s*$/;
const MAP_REFERENCE = /\n?\/\/# sourceMappingURL=\S+\s*$/;

export function withSourceMaps(original: typeof TypeScript) {
  let last: { output: string; maps: readonly string[] } = { output: '', maps: [] };

  // Step 1, TypeScript to ES module: the map travels at the end of the JavaScript itself.
  function createWatchCompilerHost(files: string[], options: object, ...rest: unknown[]): unknown {
    const create = original.createWatchCompilerHost as (...all: unknown[]) => unknown;
    return create(files, { ...options, inlineSourceMap: true }, ...rest);
  }

  // Step 2, ES module to CommonJS: takes the first map off and makes the second.
  function transpileModule(input: string, options: TypeScript.TranspileOptions): TypeScript.TranspileOutput {
    const first = INLINE_MAP.exec(input);
    const module = input.replace(INLINE_MAP, '');
    const compilerOptions = { ...options.compilerOptions, sourceMap: true };
    const result = original.transpileModule(module, { ...options, compilerOptions });
    const outputText = result.outputText.replace(MAP_REFERENCE, '');
    const texts = [result.sourceMapText, first ? Buffer.from(first[1]!, 'base64').toString() : undefined];
    const maps = texts.filter((text) => text !== undefined);
    last = { output: outputText, maps };
    return { ...result, outputText };
  }

  return {
    /** A copy of the compiler's exports in which the two functions that tslab calls keep their maps. */
    typescript: { ...original, createWatchCompilerHost, transpileModule } as typeof TypeScript,
    /** The maps of what was last compiled to exactly `output`, from the output back to the source. */
    of: (output: string) => (output === last.output ? last.maps : []),
  };
}
