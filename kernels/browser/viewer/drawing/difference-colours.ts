/** The colours of differences, for the graphics card that draws them and for the legend that names them. */

type Colour = readonly [red: number, green: number, blue: number];

/** From the limit below to the limit above, in even steps: ColorBrewer's RdBu, safe for the colour-blind. */
const beside: readonly Colour[] = [
  [5, 48, 97],
  [67, 147, 195],
  [255, 255, 255],
  [214, 96, 77],
  [103, 0, 31],
];
/** Over a grey picture, the more opaque the greater the difference is: bright, since dark colours vanish in black lungs. */
const over = { below: [26, 115, 255], above: [255, 51, 38] } as const satisfies Record<string, Colour>;
/** The grey picture that the legend lays the second kind over. */
const LEGEND_GREY = 128;

/** Functions of a shader, for differences from -1 to 1 in parts of the limit. */
export const DIFFERENCE_COLOURS = `
vec3 colourBeside(float share) {
  vec3 colours[5] = vec3[5](${beside.map(vector).join(', ')});
  float at = 2.0 * clamp(share, -1.0, 1.0) + 2.0;
  int first = min(int(at), 3);
  return mix(colours[first], colours[first + 1], at - float(first));
}
vec3 colourOver(vec3 picture, float share, float opacity) {
  return mix(picture, share < 0.0 ? ${vector(over.below)} : ${vector(over.above)}, opacity * abs(share));
}`;

/** The legend's bar, as CSS. @param opacity of differences over a picture; undefined for those beside it */
export function differenceBar(opacity: number | undefined): string {
  const grey: Colour = [LEGEND_GREY, LEGEND_GREY, LEGEND_GREY];
  const mixed = (colour: Colour): Colour =>
    colour.map((part, at) => grey[at]! + opacity! * (part - grey[at]!)) as unknown as Colour;
  const stops = opacity === undefined ? beside : [mixed(over.below), grey, mixed(over.above)];
  return `linear-gradient(90deg, ${stops.map((colour) => `rgb(${colour.map(Math.round).join(' ')})`).join(', ')})`;
}

function vector(colour: Colour): string {
  return `vec3(${colour.map((part) => (part / 255).toFixed(4)).join(', ')})`;
}
