// Who did what, when, from where, and what came of it.
import { z } from 'zod';
import { auditKeptDays, auditResults, selectAuditActions, selectAuditPage } from '../../../store/audit.ts';
import { contextOf } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';

const pageSize = 50;
const dayMs = 86_400_000;
const day = z.iso.date().optional().catch(undefined);

/** Out of the URL: what cannot be used is left out. Days are UTC, as the list shows them. */
const query = z.object({
  who: z.string().trim().max(80).catch(''),
  action: z.string().regex(/^[\w.-]{1,64}$/).optional().catch(undefined),
  result: z.enum(auditResults).optional().catch(undefined),
  from: day,
  until: day,
  page: z.coerce.number().int().min(1).max(1_000_000).catch(1),
});

export function showAudit(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const filter = query.parse(req.query);
    const [{ entries, total }, actions] = await Promise.all([
      selectAuditPage(
        deps.db,
        {
          userName: filter.who,
          action: filter.action,
          result: filter.result,
          from: filter.from === undefined ? undefined : Date.parse(filter.from),
          // the day named is still in
          until: filter.until === undefined ? undefined : Date.parse(filter.until) + dayMs,
        },
        pageSize,
        (filter.page - 1) * pageSize,
      ),
      selectAuditActions(deps.db),
    ]);
    const kept = Object.entries(filter).filter(([name, value]) => name !== 'page' && value !== undefined && value !== '');
    const base = `/admin/audit?${kept.map(([name, value]) => `${name}=${encodeURIComponent(String(value))}&`).join('')}`;
    const { t } = contextOf(req);
    await render(req, res, 'admin/audit/audit', { title: t('audit.title'), entries, total, filter, actions, results: auditResults, keptDays: auditKeptDays, page: filter.page, pageSize, base });
  };
}
