// Lists come in pages: ?page=&pageSize= in, { items, page, pageSize, total } and a Link header (RFC 8288) out.
import { z } from 'zod';

const maxPageSize = 200;

/** Query parameters are text; only plain decimal digits are numbers. */
export function queryInteger(min: number, max: number) {
  return z.preprocess((text) => (typeof text === 'string' && /^\d{1,9}$/.test(text) ? Number(text) : text), z.int().min(min).max(max));
}

export const pageQuery = {
  page: queryInteger(1, 1_000_000).default(1),
  pageSize: queryInteger(1, maxPageSize).default(50),
};

export interface Page {
  readonly page: number;
  readonly pageSize: number;
}

export function pageOf<T extends z.ZodType>(item: T) {
  return z.strictObject({ items: z.array(item), page: z.int(), pageSize: z.int(), total: z.int() });
}

export function offsetOf({ page, pageSize }: Page): number {
  return (page - 1) * pageSize;
}

/** One page of what is all in memory already. */
export function slicePage<T>(all: readonly T[], page: Page): { items: T[]; page: number; pageSize: number; total: number } {
  return { items: all.slice(offsetOf(page), offsetOf(page) + page.pageSize), page: page.page, pageSize: page.pageSize, total: all.length };
}

const pageShape = z.object({ page: z.number(), pageSize: z.number(), total: z.number(), items: z.array(z.unknown()) });

/** The Link header of an answer; undefined when it is not a page of a list. `url` is the request's own, path and query. */
export function linkHeader(url: string, body: unknown): string | undefined {
  const parsed = pageShape.safeParse(body);
  if (!parsed.success) return undefined;
  const { page, pageSize, total } = parsed.data;
  const last = Math.max(1, Math.ceil(total / pageSize));
  const at = (target: number): string => {
    const link = new URL(url, 'http://portal');
    link.searchParams.set('page', String(target));
    link.searchParams.set('pageSize', String(pageSize));
    return `${link.pathname}${link.search}`;
  };
  const links: [string, number][] = [['first', 1], ['last', last]];
  if (page > 1) links.push(['prev', Math.min(page - 1, last)]);
  if (page < last) links.push(['next', page + 1]);
  return links.map(([rel, target]) => `<${at(target)}>; rel="${rel}"`).join(', ');
}
