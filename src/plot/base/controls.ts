import type { Layout } from './layout';
import { hairline, ink, SMALL, TEXT, wash } from './theme';

/** What a button does: changes of the layout by path, as of `coloraxis.cmin`, and which of the traces are seen. */
export interface Choice {
  readonly label: string;
  readonly layout: Layout;
  readonly seen?: { readonly traces: readonly number[]; readonly visible: readonly boolean[] };
}

/**
 * Plotly paints a button under the pointer almost white in every theme, and so it does the pressed one of a row. Faces are
 * therefore light and words dark in every theme, and each button is a menu of its own, which can have its own face.
 */
const button = { face: '#ccd4dd', pressed: '#56b4e9', words: '#10202e' } as const;
/** Pixels between two buttons. */
const GAP = 6;

/**
 * Buttons in a row of which one is pressed, the first from the start.
 *
 * @param name what is chosen; a page that gets a new figure finds the reader's choice again by it
 * @param place where the row begins; `pad` is in pixels
 * @param before how many buttons the figure has already
 */
export function choiceButtons(
  name: string,
  choices: readonly Choice[],
  { pad, ...place }: Layout & { readonly pad?: { readonly [side: string]: number } },
  before = 0,
): Layout[] {
  let left = pad?.l ?? 0;
  return choices.map(({ label, layout, seen }, at) => {
    const faces = choices.map((_, other) => [
      `updatemenus[${before + other}].bgcolor`,
      other === at ? button.pressed : button.face,
    ]);
    const changes = { ...layout, ...Object.fromEntries(faces) };
    const start = left;
    left += buttonWidth(label) + GAP;
    return {
      type: 'buttons',
      name,
      showactive: false,
      bgcolor: at === 0 ? button.pressed : button.face,
      bordercolor: hairline,
      font: { size: TEXT, color: button.words },
      x: 0,
      xanchor: 'left',
      ...place,
      pad: { t: 0, r: 0, b: 0, ...pad, l: start },
      buttons: [
        seen
          ? { label, method: 'update', args: [{ visible: seen.visible }, changes, seen.traces] }
          : { label, method: 'relayout', args: [changes] },
      ],
    };
  });
}

/** Pixels that Plotly gives a button; the words are not measured, and fonts differ. */
function buttonWidth(label: string): number {
  return Math.max(30, Math.ceil(label.length * 7.2) + 24);
}

/** What all sliders look like; their words have the colour of the page's. */
export const sliderLook = {
  yanchor: 'top',
  bgcolor: wash,
  activebgcolor: ink,
  bordercolor: ink,
  tickcolor: ink,
  minorticklen: 0,
  font: { size: SMALL },
} as const;
