/**
 * The canvas of a viewer. It has a WebGL context and a painter while it is in sight. Without them it shows the last
 * picture.
 */
import { isSameSpace, type Space } from './box-image';
import { Painter } from './painter';

/** What a screen asks of its viewer. */
interface Owner {
  /** The space of the volumes that are to be drawn now. */
  space(): Space;
  /** Reads what is to be drawn. */
  prepare(): Promise<void>;
  /** There is a painter, and nothing is drawn yet. */
  begin(painter: Painter): void;
  draw(): void;
  drawSoon(): void;
  fail(error: unknown): void;
}

/** The picture is kept so long after the last change, for when the context is taken away. */
const REST_MS = 400;

export class Screen {
  /** The last picture. */
  readonly #still = document.createElement('canvas');
  #painter: Painter | undefined;
  #isInSight = false;
  #isOpening = false;
  /** How often the browser took the context away since the viewer came into sight. */
  #losses = 0;
  #rest: ReturnType<typeof setTimeout> | undefined;
  #return: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly picture: HTMLElement,
    private readonly owner: Owner,
  ) {
    picture.append(this.#still);
  }

  get painter(): Painter | undefined {
    return this.#painter;
  }

  /** The viewer is in sight, or no longer. */
  enter(isInSight: boolean): void {
    this.#isInSight = isInSight;
    this.#losses = 0;
    if (isInSight) void this.open();
    else this.leave();
  }

  /** Gives the context back. The last picture stays. */
  leave(): void {
    this.keep();
    this.#lose();
  }

  dispose(): void {
    this.#isInSight = false;
    clearTimeout(this.#return);
    this.#lose();
  }

  /** Makes the canvas as large as the picture. */
  fit(canvas: HTMLCanvasElement): void {
    const pixel = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(this.picture.clientWidth * pixel));
    const height = Math.max(1, Math.round(this.picture.clientHeight * pixel));
    if (canvas.width === width && canvas.height === height) return;
    canvas.width = width;
    canvas.height = height;
  }

  /** Keeps the picture once it rests. @param after what follows then */
  keepSoon(after: () => void): void {
    clearTimeout(this.#rest);
    this.#rest = setTimeout(() => {
      this.keep();
      after();
    }, REST_MS);
  }

  /** Copies the picture to where no context is needed. */
  keep(): void {
    const canvas = this.#painter?.canvas;
    if (!canvas) return;
    this.owner.draw(); // a canvas of WebGL has its picture until the browser has shown it
    this.#still.width = canvas.width;
    this.#still.height = canvas.height;
    this.#still.getContext('2d')!.drawImage(canvas, 0, 0);
    clearTimeout(this.#rest);
  }

  /** Takes a context, if the viewer is in sight. */
  async open(): Promise<void> {
    if (this.#painter || this.#isOpening || !this.#isInSight) return;
    this.#isOpening = true;
    let isLate = false;
    try {
      const space = this.owner.space();
      await this.owner.prepare();
      if (!this.#isInSight) return;
      const canvas = document.createElement('canvas');
      canvas.style.visibility = 'hidden'; // the last picture stays until there is a new one
      this.#still.after(canvas);
      this.fit(canvas);
      canvas.addEventListener('webglcontextlost', (event) => {
        event.preventDefault();
        if (this.#painter?.canvas !== canvas) return;
        this.#lose();
        // A page with many viewers, or a graphics card in trouble: not at once again, and ever more slowly.
        this.#return = setTimeout(() => this.#isInSight && void this.open(), 1000 * 2 ** this.#losses++);
      });
      const painter = await Painter.on(canvas, space, () => this.owner.drawSoon()).catch((error: unknown) => {
        canvas.remove();
        throw error;
      });
      isLate = !isSameSpace(space, this.owner.space()); // other volumes took their place meanwhile
      if (!this.#isInSight || isLate || painter.gl.isContextLost()) {
        painter.free();
        canvas.remove();
        return;
      }
      this.#painter = painter;
      this.owner.begin(painter);
      this.owner.draw();
      canvas.style.visibility = '';
    } catch (error) {
      this.owner.fail(error);
    } finally {
      this.#isOpening = false;
      if (isLate) void this.open();
    }
  }

  #lose(): void {
    const painter = this.#painter;
    this.#painter = undefined;
    clearTimeout(this.#rest);
    painter?.free();
    painter?.canvas?.remove();
  }
}
