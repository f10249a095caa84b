import type { Copy } from '../voxels/copies';

/** The 16-bit voxels of a copy on the graphics card. */
export class CopyTexture {
  readonly #texture: WebGLTexture;

  constructor(
    private readonly gl: WebGL2RenderingContext,
    { shape, stored }: Copy,
    /** The unit that may be changed to fill the texture. */
    unit: number,
  ) {
    this.#texture = gl.createTexture()!;
    this.bind(unit);
    for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER])
      gl.texParameteri(gl.TEXTURE_3D, filter, gl.NEAREST);
    for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T, gl.TEXTURE_WRAP_R])
      gl.texParameteri(gl.TEXTURE_3D, side, gl.CLAMP_TO_EDGE);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.texStorage3D(gl.TEXTURE_3D, 1, gl.R16I, ...shape);
    gl.texSubImage3D(gl.TEXTURE_3D, 0, 0, 0, 0, ...shape, gl.RED_INTEGER, gl.SHORT, stored);
  }

  bind(unit: number): void {
    this.gl.activeTexture(this.gl.TEXTURE0 + unit);
    this.gl.bindTexture(this.gl.TEXTURE_3D, this.#texture);
  }

  free(): void {
    this.gl.deleteTexture(this.#texture);
  }
}
