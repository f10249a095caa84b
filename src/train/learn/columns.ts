/** Rows of named numbers as one array, which ranks can exchange. */
export class Columns<Name extends string> {
  constructor(private readonly names: readonly Name[]) {}

  get width(): number {
    return this.names.length;
  }

  /** What a row lacks becomes NaN. */
  pack(rows: readonly Readonly<Partial<Record<Name, number>>>[]): Float32Array {
    return Float32Array.from(rows.flatMap((row) => this.names.map((name) => row[name] ?? Number.NaN)));
  }

  unpack(values: Float32Array): Record<Name, number>[] {
    const row = (start: number) =>
      Object.fromEntries(this.names.map((name, i) => [name, values[start + i]!])) as Record<Name, number>;
    return Array.from({ length: values.length / this.width }, (_, i) => row(i * this.width));
  }
}
