import type { Request } from 'express';
import { AppError, say } from '../../../errors.ts';
import type { User } from '../../../model/user.ts';
import { selectUser } from '../../../store/users.ts';
import type { WebDeps } from '../../deps.ts';

/** The user of the URL's `:id`. Throws not-found. */
export async function loadUser(deps: WebDeps, req: Request): Promise<User> {
  const { id } = req.params;
  // an id is 36 characters: anything else would only be compared in vain
  if (typeof id !== 'string' || id.length !== 36) throw new AppError('not-found', say('users.not-found'));
  return selectUser(deps.db, id);
}
