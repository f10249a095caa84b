/**
 * How a slice is coloured. NiiVue windows a whole volume into 8 bits before it draws it, and again for each change of
 * the window; here the 16-bit values stay on the graphics card, and each pixel is interpolated and windowed as it is
 * drawn. So a window follows the mouse at any size, and a difference is that of the values.
 */
import { NO_VALUE } from '../../../../src/volumes-bundle';
import { DIFFERENCE_COLOURS } from './difference-colours';

/** What a pixel shows: the value, the difference from the reference, or the value with the difference over it. */
export const SHOWS = { value: 0, difference: 1, overlay: 2 } as const;

/** Copies whose textures a slice reads: the whole volume, and a part of it at full resolution. */
export const COPIES = ['shownWhole', 'shownPart', 'referenceWhole', 'referencePart'] as const;
export type CopyName = (typeof COPIES)[number];

const copyUniforms = COPIES.map(
  (name) => `uniform highp isampler3D ${name};
uniform mat4 ${name}Voxel;
uniform vec2 ${name}Scale;
uniform bool ${name}There;`,
).join('\n');

/** The value of a copy at `texPos`, a fraction of the volume's box: x is the value, y is 0 where there is none. */
const copyFunctions = COPIES.map(
  (name) => `vec2 ${name}At(vec3 place) {
  vec3 size = vec3(textureSize(${name}, 0));
  vec3 voxel = clamp((${name}Voxel * vec4(place, 1.0)).xyz, vec3(0.0), size - 1.0);
  vec3 first = min(floor(voxel), max(size - 2.0, 0.0));
  vec3 share = voxel - first;
  float sum = 0.0;
  float weights = 0.0;
  for (int corner = 0; corner < 8; corner++) {
    vec3 beside = vec3(corner & 1, (corner >> 1) & 1, corner >> 2);
    vec3 part = mix(1.0 - share, share, beside);
    float weight = part.x * part.y * part.z;
    if (weight < 1e-4) continue;
    int stored = texelFetch(${name}, ivec3(min(first + beside, size - 1.0)), 0).r;
    if (stored == ${NO_VALUE}) continue;
    sum += weight * float(stored);
    weights += weight;
  }
  return weights > 0.0 ? vec2(${name}Scale.x * sum / weights + ${name}Scale.y, 1.0) : vec2(0.0);
}
bool ${name}Has(vec3 place) {
  vec3 voxel = (${name}Voxel * vec4(place, 1.0)).xyz;
  return ${name}There && all(greaterThanEqual(voxel, vec3(-0.5))) &&
    all(lessThanEqual(voxel, vec3(textureSize(${name}, 0)) - 0.5));
}`,
).join('\n');

export const SLICE_SHADER = `#version 300 es
precision highp int;
precision highp float;
${copyUniforms}
uniform int axCorSag;
uniform int shows;
uniform vec2 window;
uniform vec2 comparedRange;
uniform float limit;
uniform float opacityOfDifference;
uniform vec2 columns;
uniform vec3 crosshair;
uniform vec4 crosshairColor;
uniform vec2 crosshairSize;
in vec3 texPos;
out vec4 color;
${copyFunctions}
vec2 shown(vec3 place) { return shownPartHas(place) ? shownPartAt(place) : shownWholeAt(place); }
vec2 reference(vec3 place) { return referencePartHas(place) ? referencePartAt(place) : referenceWholeAt(place); }
${DIFFERENCE_COLOURS}
void main() {
  if (gl_FragCoord.x < columns.x || gl_FragCoord.x >= columns.y) discard;
  vec2 value = shown(texPos);
  float grey = value.y * clamp((value.x - window.x) / (window.y - window.x), 0.0, 1.0);
  color = vec4(vec3(grey), 1.0);
  if (shows != ${SHOWS.value}) {
    vec2 other = reference(texPos);
    float difference = clamp(value.x, comparedRange.x, comparedRange.y) - clamp(other.x, comparedRange.x, comparedRange.y);
    float share = value.y * other.y * clamp(difference / limit, -1.0, 1.0);
    if (shows == ${SHOWS.difference}) color.rgb = colourBeside(share);
    else color.rgb = colourOver(color.rgb, share, opacityOfDifference);
  }
  vec2 here = axCorSag == 0 ? texPos.xy : axCorSag == 1 ? texPos.xz : texPos.yz;
  vec2 there = axCorSag == 0 ? crosshair.xy : axCorSag == 1 ? crosshair.xz : crosshair.yz;
  vec2 pixels = abs(here - there) / vec2(length(vec2(dFdx(here.x), dFdy(here.x))), length(vec2(dFdx(here.y), dFdy(here.y))));
  bool onLine = min(pixels.x, pixels.y) < 0.5 * crosshairSize.x && max(pixels.x, pixels.y) > crosshairSize.y;
  // Light on dark, dark on light.
  float isLight = step(0.6, dot(color.rgb, vec3(0.3, 0.6, 0.1)));
  if (onLine) color.rgb = mix(color.rgb, crosshairColor.rgb * (1.0 - 0.7 * isLight), crosshairColor.a);
}`;
