/** Rows of named numbers as one array, which ranks can exchange. */
export class Columns<Name extends string> {
  constructor(private readonly names: readonly Name[]) {}

  /** What a row lacks becomes NaN. */
  pack(rows: readonly Readonly<Partial<Record<Name, number>>>[]): Float32Array {
    return Float32Array.from(rows.flatMap((row) => this.names.map((name) => row[name] ?? Number.NaN)));
  }

  unpack(values: Float32Array): Record<Name, number>[] {
    const width = this.names.length;
    const row = (start: number) =>
      Object.fromEntries(this.names.map((name, i) => [name, values[start + i]!])) as Record<Name, number>;
    return Array.from({ length: values.length / width }, (_, i) => row(i * width));
  }
}
