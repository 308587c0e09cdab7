// Where to go on after a login or a language switch: only ever a page of ours.

/** `next` when it is a path of this portal, else `fallback`. `//evil`, `/\evil` and absolute URLs are not. */
export function localPath(next: unknown, fallback: string): string {
  if (typeof next !== 'string' || !/^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(next)) return fallback;
  // as a browser would read it, so that nothing we overlooked leaves this origin
  const url = new URL(next, 'http://portal.invalid');
  // `/.//evil` is a path of ours until it is made shorter: then it begins with two slashes
  return url.origin === 'http://portal.invalid' && !url.pathname.startsWith('//') ? `${url.pathname}${url.search}${url.hash}` : fallback;
}
