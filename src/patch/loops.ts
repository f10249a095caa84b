/**
 * The functions of simd/index.ts. Addresses, `clearBytes` and all of copyBox are in bytes; addPlane's rows and width are in
 * values.
 */
export interface PatchLoops {
  addPlane(
    slab: number,
    slabRow: number,
    patch: number,
    patchRow: number,
    rows: number,
    width: number,
    weightsX: number,
    weightsY: number,
    weightZ: number,
    clear: number,
    clearBytes: number,
  ): void;
  copyBox(
    to: number,
    toRow: number,
    toPlane: number,
    from: number,
    fromRow: number,
    fromPlane: number,
    bytes: number,
    rows: number,
    planes: number,
  ): void;
}

/** Its arguments. */
export type AddPlane = Parameters<PatchLoops['addPlane']>;
