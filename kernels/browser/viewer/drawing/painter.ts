/** NiiVue as the painter of one viewer: it knows planes, zoom and the 3D rendering; slices get our shader. */
import { Niivue, type NVImage } from '@niivue/niivue';
import type { View } from '../view';
import { compose, invert, type Point, transpose } from '../voxels/affine';
import type { CopiesOf, Copy } from '../voxels/copies';
import { emptyImage, imageOf, type Space } from './box-image';
import { CopyTexture } from './copy-texture';
import type { Pan } from './places';
import { axesOf, type Plane, sliceTypeOf } from './planes';
import { COPIES, type CopyName, SHOWS, SLICE_SHADER } from './slice-shader';

/** In pixels of the canvas, from its left and top. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export interface Slice {
  readonly plane: Plane;
  readonly shows: keyof typeof SHOWS;
  readonly shown: CopiesOf;
  /** What differences are taken from. */
  readonly reference: CopiesOf;
  readonly window: readonly [low: number, high: number];
  /** Values are clipped to this range before they are compared. */
  readonly clip: readonly [low: number, high: number];
  readonly differenceLimit: number;
  readonly differenceOpacity: number;
  /** The columns of the canvas that are drawn. */
  readonly columns: readonly [from: number, to: number];
}

/** Where the parts of a slice lie: a pixel of the canvas and the fraction of the volume's box there. */
export interface Placed {
  readonly box: Box;
  readonly plane: Plane;
  readonly left: number;
  readonly bottom: number;
  /** mm over the box; negative where the axis runs the other way. */
  readonly across: number;
  readonly up: number;
}

const FIRST_UNIT = 11; // NiiVue uses the units before it
const CROSSHAIR = [0.35, 0.85, 1, 0.85] as const;
/** Voxels of the 3D rendering: of a graphics card, and of a processor that stands in for one. */
const MOST_RENDERED = { card: 16e6, processor: 1e6 } as const;

export class Painter extends Niivue {
  #box: Box | undefined;
  #standIn: NVImage | undefined;
  #redraw: () => void = () => {};
  #rendered: { readonly copy: Copy; readonly window: Slice['window'] } | undefined;
  readonly #textures = new Map<Copy, CopyTexture>();

  /** @param space what the volumes fill @param redraw called where NiiVue wants to draw */
  static async on(canvas: HTMLCanvasElement, space: Space, redraw: () => void): Promise<Painter> {
    // NiiVue takes the context that the canvas has.
    const gl = canvas.getContext('webgl2', { alpha: false, antialias: false });
    if (!gl) throw new Error('WebGL2 is not there');
    const painter = new Painter({
      logLevel: 'silent',
      isResizeCanvas: false,
      interactive: false,
      forceDevicePixelRatio: -1,
      isRadiologicalConvention: true,
      sagittalNoseLeft: true,
      isOrientationTextVisible: false,
      crosshairWidth: 0,
      show3Dcrosshair: true,
      crosshairColor: [...CROSSHAIR],
      isColorbar: false,
      backColor: [0, 0, 0, 1],
    });
    await painter.attachToCanvas(canvas, false);
    painter.#stand(await emptyImage(space));
    painter.setCustomSliceShader(SLICE_SHADER);
    painter.#redraw = redraw;
    return painter;
  }

  /** Takes a volume as NiiVue's own. Its voxels are drawn only in 3D. */
  #stand(image: NVImage): void {
    this.#standIn = image;
    this.volumes = [];
    this.setVolume(image, 0);
  }

  /** From a fraction of the volume's box (to the right, anterior and superior) to the world in mm. */
  get worldOfFraction(): number[] {
    return transpose(this.#standIn!.frac2mm!);
  }

  override drawScene(): void {
    this.#redraw();
  }

  /** NiiVue's field of view is as wide as the volume; ours fills the box it is drawn into. */
  override screenFieldOfViewExtendedVox(sliceType = 0): ReturnType<Niivue['screenFieldOfViewExtendedVox']> {
    const view = super.screenFieldOfViewExtendedVox(sliceType);
    if (!this.#box) return view;
    const pixels = Math.min(this.#box.width / view.fovMM[0]!, this.#box.height / view.fovMM[1]!);
    for (const [axis, size] of [this.#box.width, this.#box.height].entries()) {
      const more = (size / pixels - view.fovMM[axis]!) / 2;
      view.mnMM[axis]! -= more;
      view.mxMM[axis]! += more;
      view.fovMM[axis]! += 2 * more;
    }
    return view;
  }

  clear(): void {
    this.clearBounds(this.gl.COLOR_BUFFER_BIT | this.gl.DEPTH_BUFFER_BIT);
    this.screenSlices = [];
  }

  /** @param crosshair a fraction of the volume's box */
  drawSlice(box: Box, slice: Slice, crosshair: Point): Placed {
    const { gl } = this;
    const shader = this.customSliceShader!;
    const set = shader.uniforms;
    this.scene.crosshairPos = new Float32Array(crosshair) as typeof this.scene.crosshairPos;
    shader.use(gl);
    const copies: Record<CopyName, Copy | undefined> = {
      shownWhole: slice.shown.whole,
      shownPart: slice.shown.part,
      referenceWhole: slice.reference.whole,
      referencePart: slice.reference.part,
    };
    for (const [at, name] of COPIES.entries()) {
      const copy = copies[name];
      this.#texture(copy ?? slice.shown.whole).bind(FIRST_UNIT + at);
      gl.uniform1i(set[name]!, FIRST_UNIT + at);
      gl.uniform1i(set[`${name}There`]!, copy ? 1 : 0);
      if (!copy) continue;
      const voxel = transpose(compose(invert(copy.affine), this.worldOfFraction));
      gl.uniformMatrix4fv(set[`${name}Voxel`]!, false, voxel);
      gl.uniform2f(set[`${name}Scale`]!, copy.slope, copy.intercept);
    }
    gl.uniform1i(set.shows!, SHOWS[slice.shows]);
    gl.uniform2f(set.window!, ...slice.window);
    gl.uniform2f(set.comparedRange!, ...slice.clip);
    gl.uniform1f(set.limit!, slice.differenceLimit);
    gl.uniform1f(set.opacityOfDifference!, slice.differenceOpacity);
    gl.uniform2f(set.columns!, ...slice.columns);
    gl.uniform3f(set.crosshair!, ...crosshair);
    gl.uniform4f(set.crosshairColor!, ...CROSSHAIR);
    const pixel = window.devicePixelRatio || 1;
    gl.uniform2f(set.crosshairSize!, Math.max(1, Math.round(pixel)), 9 * pixel);
    this.#box = box;
    this.draw2D([box.left, box.top, box.width, box.height], sliceTypeOf(slice.plane));
    this.#box = undefined;
    const drawn = this.screenSlices.at(-1)!;
    return {
      box,
      plane: slice.plane,
      left: drawn.leftTopMM[0]!,
      bottom: drawn.leftTopMM[1]!,
      across: drawn.fovMM[0]!,
      up: drawn.fovMM[1]!,
    };
  }

  /** The fraction of the volume's box at a pixel of the canvas, in the plane of the crosshair. */
  fractionAt({ box, plane, left, bottom, across, up }: Placed, x: number, y: number): Point {
    const fraction = [...this.scene.crosshairPos] as [number, number, number];
    const axes = axesOf[plane];
    const [low, high] = [this.#standIn!.extentsMinOrtho!, this.#standIn!.extentsMaxOrtho!];
    const part = (mm: number, axis: number): number => (mm - low[axis]!) / (high[axis]! - low[axis]!);
    fraction[axes.across] = part(left + (across * (x - box.left)) / box.width, axes.across);
    fraction[axes.up] = part(bottom + up * (1 - (y - box.top) / box.height), axes.up);
    return fraction;
  }

  /** Shift and zoom by which a fraction of the volume's box stays where it is on the screen. */
  zoomed(pan: Pan, fraction: Point, zoom: number): Pan {
    const [low, high] = [this.#standIn!.extentsMinOrtho!, this.#standIn!.extentsMaxOrtho!];
    const shift = (axis: 0 | 1 | 2): number =>
      pan[axis] + (low[axis]! + fraction[axis] * (high[axis]! - low[axis]!)) * (pan[3] - zoom);
    return [shift(0), shift(1), shift(2), zoom];
  }

  get isRendered(): boolean {
    return this.#rendered !== undefined;
  }

  /** Whether the 3D rendering shows this copy in this window. */
  hasRendering(copy: Copy, [low, high]: Slice['window']): boolean {
    const ready = this.#rendered;
    return ready?.copy === copy && ready.window[0] === low && ready.window[1] === high;
  }

  /** Makes the 3D rendering of a copy in a window. */
  async prepareRendering(space: Space, copy: Copy, window: Slice['window']): Promise<void> {
    const image = await imageOf(space, copy, MOST_RENDERED[this.#isSoftware ? 'processor' : 'card'], window);
    if (this.gl.isContextLost()) return;
    if (!this.#rendered) await this.setVolumeRenderIllumination(0.3);
    this.#stand(image);
    this.#rendered = { copy, window };
  }

  drawRendering({ left, top, width, height }: Box, { azimuth, elevation, zoom }: View['turn']): void {
    this.scene.renderAzimuth = azimuth;
    this.scene.renderElevation = elevation;
    this.scene.volScaleMultiplier = zoom;
    this.opts.crosshairWidth = 1;
    this.draw3D([left, top, width, height]);
    this.opts.crosshairWidth = 0;
  }

  get #isSoftware(): boolean {
    const info = this.gl.getExtension('WEBGL_debug_renderer_info');
    const name = info && this.gl.getParameter(info.UNMASKED_RENDERER_WEBGL);
    return /swiftshader|llvmpipe|software/i.test(String(name));
  }

  #texture(copy: Copy): CopyTexture {
    const known = this.#textures.get(copy) ?? new CopyTexture(this.gl, copy, FIRST_UNIT);
    this.#textures.set(copy, known);
    return known;
  }

  /** Frees the textures of copies that are no longer shown. */
  keepOnly(copies: ReadonlySet<Copy>): void {
    for (const [copy, texture] of this.#textures) {
      if (copies.has(copy)) continue;
      texture.free();
      this.#textures.delete(copy);
    }
  }

  /** Gives the context back to the browser. */
  free(): void {
    this.#redraw = () => {};
    this.cleanup();
    this.gl.getExtension('WEBGL_lose_context')?.loseContext();
  }
}
