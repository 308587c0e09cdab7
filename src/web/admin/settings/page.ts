// A page of settings: one form for each of its groups. Each form carries the version it was made from, so that of two admins
// who edit the same group the second is told, with what stands there now beside what they typed.
import type { Request, Response } from 'express';
import { AppError, say, type Sentence } from '../../../errors.ts';
import type { Settings, SettingsGroup } from '../../../model/settings.ts';
import { selectSettingsVersion, updateSettings } from '../../../store/settings.ts';
import { selectOptionalUser } from '../../../store/users.ts';
import { contextOf, currentUser, flash } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { formText } from '../../forms.ts';
import { noteAudit } from '../../middleware/guard.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';
import { fieldName, parseGroup, textOf, type GroupForm } from './group-form.ts';

export interface SettingsPage {
  readonly path: string;
  readonly view: string;
  readonly titleKey: string;
  readonly forms: readonly GroupForm[];
  /** what else its view shows */
  readonly locals?: (deps: WebDeps) => Promise<Readonly<Record<string, unknown>>>;
  /** what a value would do, shown beside what was typed before it is saved */
  readonly preview?: (deps: WebDeps, value: Settings[SettingsGroup]) => Promise<Readonly<Record<string, unknown>>>;
}

/** What was sent and is not stored: refused, or only tried. */
interface Sent {
  readonly form: GroupForm;
  readonly text: Readonly<Record<string, string>>;
  readonly fields: Readonly<Record<string, Sentence>>;
  readonly status: 200 | 409 | 422;
  /** of the group when the form was made, for one that is only tried */
  readonly version?: number;
  readonly preview?: Readonly<Record<string, unknown>>;
}

export function settingsPageRoutes(deps: WebDeps, page: SettingsPage): Route[] {
  return [
    { method: 'get', path: page.path, access: 'admin', handler: (req, res) => show(deps, page, req, res) },
    { method: 'post', path: page.path, access: 'admin', audit: 'settings.change', handler: (req, res) => save(deps, page, req, res) },
    ...(page.preview === undefined ? [] : previewRoutes(deps, page, page.preview)),
  ];
}

function previewRoutes(deps: WebDeps, page: SettingsPage, load: NonNullable<SettingsPage['preview']>): Route[] {
  const path = `${page.path}/preview`;
  return [
    // what was typed is gone when the page is asked for again
    { method: 'get', path, access: 'admin', handler: (_req, res) => res.redirect(303, page.path) },
    { method: 'post', path, access: 'admin', audit: 'settings.preview', handler: preview(deps, page, load) },
  ];
}

function readForm(page: SettingsPage, req: Request) {
  const text = formText(req.body);
  const form = page.forms.find((each) => each.group === text['group']);
  const version = Number(text['version']);
  if (form === undefined || !Number.isSafeInteger(version)) throw new AppError('invalid', say('form.not-a-choice'));
  noteAudit(req, { target: form.group });
  return { text, form, version, parsed: parseGroup(form, text) };
}

function preview(deps: WebDeps, page: SettingsPage, load: NonNullable<SettingsPage['preview']>): Route['handler'] {
  return async (req, res) => {
    const { text, form, version, parsed } = readForm(page, req);
    if (!parsed.ok) return show(deps, page, req, res, { form, text, fields: parsed.fields, status: 422 });
    await show(deps, page, req, res, { form, text, fields: {}, status: 200, version, preview: await load(deps, parsed.value) });
  };
}

async function save(deps: WebDeps, page: SettingsPage, req: Request, res: Response): Promise<void> {
  const { text, form, version, parsed } = readForm(page, req);
  if (!parsed.ok) return show(deps, page, req, res, { form, text, fields: parsed.fields, status: 422 });
  const before = await selectSettingsVersion(deps.db, form.group);
  if (!(await updateSettings(deps.db, form.group, parsed.value, currentUser(req).id, deps.clock.now(), version))) {
    return show(deps, page, req, res, { form, text, fields: { _: await overtaken(deps, form) }, status: 409 });
  }
  noteAudit(req, { detail: difference(form, textOf(form, before.value), textOf(form, parsed.value)) });
  flash(req, 'success', say('common.saved'));
  res.redirect(303, page.path);
}

async function overtaken(deps: WebDeps, form: GroupForm): Promise<Sentence> {
  const { updatedBy } = await selectSettingsVersion(deps.db, form.group);
  const admin = updatedBy === null ? undefined : await selectOptionalUser(deps.db, updatedBy);
  return admin === undefined ? say('settings.overtaken') : say('settings.overtaken-by', { name: admin.name });
}

/** "vcpus 4 → 8; diskGib 100 → 50", for the audit log. */
function difference(form: GroupForm, before: Readonly<Record<string, string>>, after: Readonly<Record<string, string>>): string {
  return form.fields.map((field) => ({ path: field.path, name: fieldName(form, field) }))
    .filter(({ name }) => before[name] !== after[name])
    .map(({ path, name }) => `${path} ${before[name] || '–'} → ${after[name] || '–'}`).join('; ');
}

async function show(deps: WebDeps, page: SettingsPage, req: Request, res: Response, sent?: Sent): Promise<void> {
  const groups = await Promise.all(page.forms.map(async (form) => {
    const { value, version } = await selectSettingsVersion(deps.db, form.group, deps.log);
    const stored = textOf(form, value);
    const mine = sent?.form === form ? sent : undefined;
    return {
      group: form.group, version: mine?.version ?? version, stored, errors: mine?.fields ?? {}, text: mine?.text ?? stored, overtaken: mine?.status === 409,
      fields: form.fields.map((field) => ({ ...field, name: fieldName(form, field) })),
    };
  }));
  const title = contextOf(req).t(page.titleKey);
  await render(req, res, page.view, { title, groups, action: page.path, ...(await page.locals?.(deps)), ...sent?.preview }, sent?.status ?? 200);
}
