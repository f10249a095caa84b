/**
 * Which viewers are in sight. A browser allows a page about 16 WebGL contexts and takes the oldest away after that, so
 * only what can be seen has one.
 */

/** Scrolling past does not count. */
const STAY_MS = 120;
const MARGIN = '150px';

const watched = new Map<Element, (isInSight: boolean) => void>();
const stays = new Map<Element, ReturnType<typeof setTimeout>>();
let observer: IntersectionObserver | undefined;

/** Tells when a node comes into sight and when it leaves. Returns what ends that. */
export function watchSight(node: Element, tell: (isInSight: boolean) => void): () => void {
  observer ??= new IntersectionObserver(hear, { rootMargin: MARGIN });
  watched.set(node, tell);
  observer.observe(node);
  return () => {
    clearTimeout(stays.get(node));
    stays.delete(node);
    watched.delete(node);
    observer?.unobserve(node);
    if (watched.size > 0) return;
    observer?.disconnect();
    observer = undefined;
  };
}

function hear(entries: readonly IntersectionObserverEntry[]): void {
  for (const { target, isIntersecting } of entries) {
    clearTimeout(stays.get(target));
    if (!isIntersecting) watched.get(target)?.(false);
    else
      stays.set(
        target,
        setTimeout(() => watched.get(target)?.(true), STAY_MS),
      );
  }
}
