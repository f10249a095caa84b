/** HTML of others inside our page: what is made of harmless tags alone may stay, the rest is shown as text. */

const TAGS = new Set(
  (
    'a abbr b blockquote br caption cite code col colgroup dd del details div dl dt em figcaption figure h1 h2 h3 h4 ' +
    'h5 h6 hr i img ins kbd li mark ol p pre q s samp small span strong sub summary sup table tbody td tfoot th ' +
    'thead tr u ul var wbr'
  ).split(' '),
);
const ATTRIBUTES = new Set(
  'align alt border cellpadding cellspacing class colspan height href open rowspan scope src style title valign width'.split(
    ' ',
  ),
);
/** Styles that change how text looks in its place. None moves anything, or lays it over something else. */
const STYLES =
  /^(background(-color)?|border(-[a-z-]+)?|color|display|flex(-[a-z]+)?|float|font(-[a-z]+)?|gap|justify-content|list-style(-type)?|(max|min)-(height|width)|height|width|margin(-[a-z]+)?|opacity|overflow(-[xy])?|padding(-[a-z]+)?|text-(align|decoration|transform)|vertical-align|white-space|word-(break|wrap))$/;
/** Tags that stand alone, and tags that the end of their parent ends too. */
const NEVER_CLOSED = /^(br|col|hr|img|input|wbr)$/;
const ENDED_BY_PARENT = /^(colgroup|dd|dt|li|p|tbody|td|tfoot|th|thead|tr)$/;
const TAG = /<\/?([a-zA-Z][\w-]*)((?:\s+[\w:-]+(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'<>=`]+))?)*)\s*\/?>/g;
const ATTRIBUTE = /([\w:-]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'<>=`]+))?/g;

/**
 * True where the text is made of tags and attributes that can neither run anything nor fetch anything: no scripts,
 * handlers, frames or forms, pictures from `data:` alone, links to http(s), mail and places in the page.
 */
export function isHarmlessHtml(html: string): boolean {
  for (const [, name, attributes] of html.matchAll(TAG)) {
    if (!TAGS.has(name!.toLowerCase()) || !harmlessAttributes(attributes ?? '')) return false;
  }
  return !html.replace(TAG, '').includes('<'); // what the pattern could not read may be anything
}

/**
 * True where every tag that is opened is closed, and none that is not. A `</div>` too many leads out of the box that the
 * text is shown in; a link, a table or `<details>` that stays open takes in the rest of the page.
 */
export function isClosedHtml(html: string): boolean {
  const open: string[] = [];
  for (const [tag, name = ''] of html.matchAll(TAG)) {
    const key = name.toLowerCase();
    if (NEVER_CLOSED.test(key)) continue;
    if (!tag.startsWith('</')) open.push(key);
    else if (!closes(open, key)) return false;
  }
  return open.every((name) => ENDED_BY_PARENT.test(name));
}

/** Takes a tag off those that are open. False if it is not the innermost one. */
function closes(open: string[], name: string): boolean {
  while (open.length > 0) {
    const innermost = open.pop()!;
    if (innermost === name) return true;
    if (!ENDED_BY_PARENT.test(innermost)) return false;
  }
  return false;
}

/** True for a link that a reader may follow. */
export function isHarmlessLink(url: string): boolean {
  return /^(https?:|mailto:|#)/i.test(url) || !/^[^/?#]*:/.test(url);
}

/** True for a picture that is in the page itself. */
export function isEmbeddedPicture(url: string): boolean {
  return /^data:image\/(png|jpeg|gif|webp|svg\+xml)[;,]/i.test(url);
}

function harmlessAttributes(text: string): boolean {
  for (const [, name, quoted] of text.matchAll(ATTRIBUTE)) {
    const value = (quoted ?? '').replace(/^["']|["']$/g, '');
    const key = name!.toLowerCase();
    if (!ATTRIBUTES.has(key)) return false;
    if (key === 'style' && !harmlessStyle(value)) return false;
    if (key === 'src' && !isEmbeddedPicture(value)) return false;
    if (key === 'href' && (value.includes('&') ? !/^https?:/i.test(value) : !isHarmlessLink(value)))
      return false;
  }
  return true;
}

/** Declarations of listed properties, with values that neither fetch anything nor lead out of their place. */
function harmlessStyle(text: string): boolean {
  return text.split(';').every((declaration) => {
    if (declaration.trim() === '') return true;
    const [, property = '', value = ''] = /^\s*([a-z-]+)\s*:(.*)$/is.exec(declaration) ?? [];
    return (
      STYLES.test(property.toLowerCase()) &&
      /^[\w\s.,#%()"'!-]+$/.test(value) &&
      !/url|image|var|(^|\s)-/i.test(value)
    );
  });
}
