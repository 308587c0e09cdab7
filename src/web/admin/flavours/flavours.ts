// The sizes that users may choose as presets: their order, and which are offered.
import type { Request, Response } from 'express';
import { z } from 'zod';
import { AppError, say, type Sentence } from '../../../errors.ts';
import { priceOf } from '../../../model/price.ts';
import { settingsBounds as bounds } from '../../../model/settings.ts';
import { sizeKeys } from '../../../model/size.ts';
import { deleteFlavour, insertFlavour, selectFlavour, selectFlavours, updateFlavour, updateFlavourPositions } from '../../../store/flavours.ts';
import { selectSettings } from '../../../store/settings.ts';
import { contextOf, flash } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { checkbox, choice, formText, number, parseForm, text } from '../../forms.ts';
import { noteAudit } from '../../middleware/guard.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';
import { itemId } from '../item-id.ts';

type Text = Readonly<Record<string, string>>;
type Complaints = Readonly<Record<string, Sentence>>;

const bounded = ([min, max]: readonly [number, number]) => number({ min, max });
const flavourForm = z.object({ name: text({ min: 1, max: 64 }), vcpus: bounded(bounds.vcpus), memoryMib: bounded(bounds.memoryMib), diskGib: bounded(bounds.diskGib), enabled: checkbox() });
const moveForm = z.object({ direction: choice(['up', 'down']) });
const listPath = paths.adminPage('flavours');

export function listFlavours(deps: WebDeps): Route['handler'] {
  return (req, res) => showList(deps, req, res, { vcpus: '1', memoryMib: '1024', diskGib: '10', enabled: 'on' }, {}, 200);
}

export function createFlavour(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const form = parseForm(flavourForm, req.body);
    if (!form.ok) return showList(deps, req, res, form.text, form.fields, 422);
    noteAudit(req, { target: form.value.name });
    const position = Math.max(-1, ...(await selectFlavours(deps.db)).map((flavour) => flavour.position)) + 1;
    const taken = await complaintsOf(insertFlavour(deps.db, { id: crypto.randomUUID(), position, ...form.value }));
    if (taken !== undefined) return showList(deps, req, res, formText(req.body), taken, 422);
    flash(req, 'success', say('flavours.added', { name: form.value.name }));
    res.redirect(303, listPath);
  };
}

export function showFlavour(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { name, vcpus, memoryMib, diskGib, enabled } = await selectFlavour(deps.db, itemId(req));
    await showOne(req, res, { name, vcpus: String(vcpus), memoryMib: String(memoryMib), diskGib: String(diskGib), enabled: enabled ? 'on' : '' }, {}, 200);
  };
}

export function changeFlavour(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const flavour = await selectFlavour(deps.db, itemId(req));
    const form = parseForm(flavourForm, req.body);
    noteAudit(req, { target: flavour.name });
    if (!form.ok) return showOne(req, res, form.text, form.fields, 422);
    const taken = await complaintsOf(updateFlavour(deps.db, flavour.id, form.value));
    if (taken !== undefined) return showOne(req, res, formText(req.body), taken, 422);
    noteAudit(req, { detail: JSON.stringify(form.value) });
    flash(req, 'success', say('common.saved'));
    res.redirect(303, listPath);
  };
}

export function setFlavourEnabled(deps: WebDeps, enabled: boolean): Route['handler'] {
  return async (req, res) => {
    const flavour = await selectFlavour(deps.db, itemId(req));
    noteAudit(req, { target: flavour.name });
    await updateFlavour(deps.db, flavour.id, { ...flavour, enabled });
    res.redirect(303, listPath);
  };
}

export function moveFlavour(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const form = parseForm(moveForm, req.body);
    if (!form.ok) throw new AppError('invalid', say('form.not-a-choice'));
    const id = itemId(req);
    const ids = (await selectFlavours(deps.db)).map((flavour) => flavour.id);
    const from = ids.indexOf(id);
    if (from < 0) throw new AppError('not-found', say('admin.flavours.not-found'));
    const to = form.value.direction === 'up' ? from - 1 : from + 1;
    if (to >= 0 && to < ids.length) {
      ids.splice(from, 1);
      ids.splice(to, 0, id);
      await updateFlavourPositions(deps.db, ids);
    }
    res.redirect(303, listPath);
  };
}

export function removeFlavour(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const flavour = await selectFlavour(deps.db, itemId(req));
    noteAudit(req, { target: flavour.name });
    await deleteFlavour(deps.db, flavour.id);
    flash(req, 'success', say('flavours.deleted', { name: flavour.name }));
    res.redirect(303, listPath);
  };
}

/** A name that is taken, as a complaint of the form; other errors go on. */
async function complaintsOf(write: Promise<void>): Promise<Complaints | undefined> {
  try {
    await write;
    return undefined;
  } catch (error) {
    if (error instanceof AppError && error.kind === 'conflict') return error.fields;
    throw error;
  }
}

async function showList(deps: WebDeps, req: Request, res: Response, values: Text, fields: Complaints, status: number): Promise<void> {
  const [flavours, { caps, prices }] = await Promise.all([selectFlavours(deps.db), selectSettings(deps.db)]);
  const rows = flavours.map((flavour) => ({ ...flavour, price: priceOf(flavour, prices).total, overCap: sizeKeys.some((key) => flavour[key] > caps[key]) }));
  await render(req, res, 'admin/flavours/list', { title: contextOf(req).t('flavours.title'), rows, currency: prices.currency, values, fields, bounds }, status);
}

async function showOne(req: Request, res: Response, values: Text, fields: Complaints, status: number): Promise<void> {
  await render(req, res, 'admin/flavours/edit', { title: contextOf(req).t('flavours.edit-title'), values, fields, bounds, action: paths.adminItem('flavours', itemId(req)) }, status);
}
