// What of the VM Monitor's list is shown: read from its address, or from the hidden fields by which a form finds its way back. The
// address is put together from these parts again, so that a form can lead nowhere else.
import type { Role } from '../../model/access.ts';
import { instanceStates, type InstanceState } from '../../model/instance.ts';
import { paths } from '../paths.ts';

/** Rows of one page, and so what may be chosen at once. More: the page grows past what a phone takes; fewer: a class's machines need leafing. */
export const pageSize = 50;

export interface ListQuery {
  /** everybody's machines; for admins */
  readonly all: boolean;
  readonly search: string;
  readonly state: InstanceState | undefined;
  readonly page: number;
}

/** What cannot be used is left out: a list is never an error. */
export function readListQuery(source: Readonly<Record<string, unknown>>, role: Role): ListQuery {
  return {
    all: role === 'admin' && source['all'] === '1',
    search: textOf(source['search']).trim().slice(0, 64),
    state: instanceStates.find((each) => each === source['state']),
    page: Math.max(1, Math.min(100_000, Math.trunc(Number(textOf(source['page']))) || 1)),
  };
}

/** The rows that are ticked when the list is opened: `instance=ID`, as often as there are. */
export function readChosen(source: Readonly<Record<string, unknown>>): ReadonlySet<string> {
  return new Set([source['instance']].flat().filter((id) => typeof id === 'string'));
}

/** The same as fields: of an address or of a form. */
export function listFields({ all, search, state, page }: ListQuery): [string, string][] {
  const fields: [string, string][] = [];
  if (all) fields.push(['all', '1']);
  if (search !== '') fields.push(['search', search]);
  if (state !== undefined) fields.push(['state', state]);
  if (page !== 1) fields.push(['page', String(page)]);
  return fields;
}

export function listPath(query: ListQuery, chosen: readonly string[] = []): string {
  const fields = new URLSearchParams([...listFields(query), ...chosen.map((id): [string, string] => ['instance', id])]).toString();
  return fields === '' ? paths.instances : `${paths.instances}?${fields}`;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
