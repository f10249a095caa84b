import { escapeXml } from '../../escape';
import { element } from '../svg/elements';

/** An element of a picture: what SVG calls it, its attributes as they are written, and what it holds. */
export interface Node {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly Node[];
  /** The words of a text. */
  readonly text: string;
}

const PART = /<(\/?)([\w:-]+)((?:\s+[\w:-]+="[^"]*")*)\s*(\/?)>|([^<]+)/g;
const ATTRIBUTE = /([\w:-]+)="([^"]*)"/g;

/** The root of an SVG as `figureToSvg` writes it: no comments, no entities but those of `escapeXml`. */
export function readSvg(svg: string): Node {
  const holder = makeNode('', '');
  const open = [holder];
  for (const [, closing, name, attributes = '', empty, words] of svg.matchAll(PART)) {
    const within = open.at(-1)!;
    if (words !== undefined) within.text += unescaped(words);
    else if (closing) open.pop();
    else {
      const node = makeNode(name!, attributes);
      within.children.push(node);
      if (!empty) open.push(node);
    }
  }
  return holder.children[0]!;
}

export function writeSvg({ name, attributes, children, text }: Node): string {
  return element(name, attributes, escapeXml(text) + children.map(writeSvg).join(''));
}

/** The number that an attribute holds; `otherwise` where there is none. */
export function numberOf({ attributes }: Node, name: string, otherwise = 0): number {
  const value = Number.parseFloat(attributes[name] ?? '');
  return Number.isFinite(value) ? value : otherwise;
}

function makeNode(name: string, written: string) {
  const pairs = [...written.matchAll(ATTRIBUTE)].map(([, key, value]) => [key!, unescaped(value!)] as const);
  return { name, attributes: Object.fromEntries(pairs), children: [] as Node[], text: '' };
}

function unescaped(text: string): string {
  return text.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)));
}
