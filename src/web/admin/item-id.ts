import type { Request } from 'express';
import { AppError, say } from '../../errors.ts';

/** The URL's `:id`. Throws not-found for what cannot be one of ours: it would only be compared in vain. */
export function itemId(req: Request): string {
  const { id } = req.params;
  if (typeof id !== 'string' || !/^[0-9a-f-]{36}$/.test(id)) throw new AppError('not-found', say('errors.page-not-found'));
  return id;
}
