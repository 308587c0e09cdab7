// Images: what users may make instances of. Files come into a pool outside of the portal; here they are looked at and named.
import type { Request, Response } from 'express';
import { z } from 'zod';
import { AppError, say, type Sentence } from '../../../errors.ts';
import { imageFormats, minDiskGib } from '../../../model/image.ts';
import { settingsBounds as bounds } from '../../../model/settings.ts';
import { listImageCandidates, registerImage, type ImageCandidate } from '../../../operations/image-register.ts';
import { deleteUnusedImage, selectImage, selectImages, selectImageUse, updateImage, updateImageEnabled } from '../../../store/images.ts';
import { selectOptionalPool, selectPools } from '../../../store/storage-pools.ts';
import { contextOf, flash } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { checkbox, choice, formText, id, number, parseForm, text } from '../../forms.ts';
import { noteAudit } from '../../middleware/guard.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';
import { itemId } from '../item-id.ts';

type Text = Readonly<Record<string, string>>;
type Complaints = Readonly<Record<string, Sentence>>;

const described = {
  name: text({ min: 1, max: 80 }),
  description: text({ max: 500 }),
  minMemoryMib: number({ min: 16, max: bounds.memoryMib[1] }),
  cloudInit: checkbox(),
  enabled: checkbox(),
};
const changeForm = z.object(described);
const registerForm = z.object({ ...described, pool: id(), volume: text({ min: 1, max: 255 }), format: choice(imageFormats) });
const listPath = paths.adminPage('images');

export function listImages(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const [images, use, pools] = await Promise.all([selectImages(deps.db), selectImageUse(deps.db), selectPools(deps.db)]);
    const poolNames = new Map(pools.map((pool) => [pool.id, pool.name]));
    const rows = images.map((image) => ({ ...image, instances: use.get(image.id) ?? 0, pool: poolNames.get(image.poolId) ?? '–', minDiskGib: minDiskGib(image) }));
    await render(req, res, 'admin/images/list', { title: contextOf(req).t('images.title'), rows, pools });
  };
}

/** `?pool=`: looks into that pool, with a deadline; without, nothing is asked of a host. */
export function showNewImage(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { pool = '', volume = '', format = 'qcow2' } = formText(req.query);
    const name = volume.replace(/\.(?:qcow2|img|raw)$/i, '');
    await renderNew(deps, req, res, { pool, volume, format, name, minMemoryMib: '64', enabled: 'on' }, {}, 200);
  };
}

export function createImage(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const form = parseForm(registerForm, req.body);
    if (!form.ok) return renderNew(deps, req, res, form.text, form.fields, 422);
    noteAudit(req, { target: form.value.name, detail: form.value.volume });
    try {
      const { image, created } = await registerImage(deps.operations, form.value);
      flash(req, created ? 'success' : 'info', created ? say('images.registered', { name: image.name }) : say('images.registered-before', { name: image.name }));
      res.redirect(303, listPath);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      const fields = Object.keys(error.fields).length > 0 ? error.fields : { _: error.sentence };
      await renderNew(deps, req, res, formText(req.body), fields, error.kind === 'host-unavailable' ? 503 : 422);
    }
  };
}

async function renderNew(deps: WebDeps, req: Request, res: Response, values: Text, fields: Complaints, status: number): Promise<void> {
  const pools = await selectPools(deps.db);
  const chosen = id().safeParse(values['pool']);
  const pool = chosen.success ? await selectOptionalPool(deps.db, chosen.data) : undefined;
  // after a refusal the list is not asked for again: what was typed is what matters
  const look = pool === undefined || req.method !== 'GET' ? undefined : await listImageCandidates(deps.operations, pool).then(
    (candidates) => ({ candidates }),
    (error: unknown) => {
      if (error instanceof AppError) return { candidates: [] as ImageCandidate[], problem: error.sentence };
      throw error;
    },
  );
  await render(req, res, 'admin/images/new', { title: contextOf(req).t('images.new-title'), pools, pool: pool ?? null, look: look ?? null, values, fields, formats: imageFormats }, status);
}

export function showImage(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const image = await selectImage(deps.db, itemId(req));
    const { name, description, minMemoryMib, cloudInit, enabled } = image;
    await renderImage(deps, req, res, { name, description, minMemoryMib: String(minMemoryMib), cloudInit: cloudInit ? 'on' : '', enabled: enabled ? 'on' : '' }, {}, 200);
  };
}

export function changeImage(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const image = await selectImage(deps.db, itemId(req));
    noteAudit(req, { target: image.name });
    const form = parseForm(changeForm, req.body);
    if (!form.ok) return renderImage(deps, req, res, form.text, form.fields, 422);
    try {
      await updateImage(deps.db, image.id, form.value);
    } catch (error) {
      if (!(error instanceof AppError) || error.kind !== 'conflict') throw error;
      return renderImage(deps, req, res, formText(req.body), error.fields, 422);
    }
    flash(req, 'success', say('common.saved'));
    res.redirect(303, listPath);
  };
}

async function renderImage(deps: WebDeps, req: Request, res: Response, values: Text, fields: Complaints, status: number): Promise<void> {
  const image = await selectImage(deps.db, itemId(req));
  const [use, pool] = await Promise.all([selectImageUse(deps.db), selectOptionalPool(deps.db, image.poolId)]);
  await render(req, res, 'admin/images/edit', {
    title: `${contextOf(req).t('images.one-title')}: ${image.name}`, image, values, fields, instances: use.get(image.id) ?? 0, pool: pool ?? null, minDiskGib: minDiskGib(image),
  }, status);
}

export function setImageEnabled(deps: WebDeps, enabled: boolean): Route['handler'] {
  return async (req, res) => {
    const image = await selectImage(deps.db, itemId(req));
    noteAudit(req, { target: image.name });
    await updateImageEnabled(deps.db, image.id, enabled);
    res.redirect(303, listPath);
  };
}

export function removeImage(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const image = await selectImage(deps.db, itemId(req));
    noteAudit(req, { target: image.name });
    if (!(await deleteUnusedImage(deps.db, image.id))) throw new AppError('conflict', say('images.in-use', { name: image.name }));
    flash(req, 'success', say('images.deleted', { name: image.name, volume: image.volume }));
    res.redirect(303, listPath);
  };
}
