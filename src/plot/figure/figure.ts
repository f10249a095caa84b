import type { Layout, PlainFigure, Trace } from '../base/layout';
import { type SaveOptions, saveFigure } from '../paper/save';

/**
 * A figure as plain data: what `Plotly.react(node, data, layout)` takes, and one line of text for where there is no
 * picture. It knows nothing of Plotly itself, so it can be made, stored and tested without a browser.
 */
export class Figure {
  constructor(
    readonly data: readonly Trace[],
    readonly layout: Layout,
    /** What the figure shows, in words. */
    readonly summary: string,
    /** What `data` shows at first with every voxel, where `data` has fewer of them: for paper. */
    private readonly everyVoxel?: () => readonly Trace[],
  ) {}

  /**
   * Saves the figure for a paper, as it is shown at first. The name of the file says how: `.svg` and `.pdf` hold lines,
   * letters that can be searched, and every voxel of a slice; `.png` holds pixels. A file that is there is replaced.
   *
   * ```ts
   * const figure = pw.volumeFigure(await pw.readVolume('ct.nii.gz'));
   * await figure.save('figure1.pdf', { window: 'lung', title: '' }); // the caption has the title
   * await figure.save('figure1.png', { widthMm: 85, dpi: 600 });
   * ```
   * @throws InvalidArgument if the name ends otherwise, nothing can be written there, a size is absurd, or a trace is of
   * another type than scatter, bar, heatmap or table
   */
  async save(path: string, options: SaveOptions = {}): Promise<void> {
    const data = this.everyVoxel?.() ?? this.data;
    await saveFigure({ data, layout: this.layout, summary: this.summary }, path, options);
  }

  toJSON(): PlainFigure {
    return { data: this.data, layout: this.layout };
  }
}
