/** The function of simd/index.ts. Addresses and `clearBytes` are in bytes, the distances of rows and the width in values. */
export interface BlendLoops {
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
}

/** Its arguments. */
export type AddPlane = Parameters<BlendLoops['addPlane']>;

export const ARGUMENTS = 11;
