// Create VM, step by step: size with the verdict beside it, review, and the submission. Nothing changes before the last.
import { randomBytes } from 'node:crypto';
import type { Request, Response } from 'express';
import { AppError, say, type Sentence } from '../../errors.ts';
import type { Verdict } from '../../model/admission.ts';
import type { Flavour } from '../../model/flavour.ts';
import type { Image } from '../../model/image.ts';
import { priceOf } from '../../model/price.ts';
import type { Settings } from '../../model/settings.ts';
import type { User } from '../../model/user.ts';
import { mayGivePriority, type HaPriority } from '../../model/instance.ts';
import { sizeKeys, type Size } from '../../model/size.ts';
import { admissionError, admissionFor } from '../../operations/admission.ts';
import { priorityRefused } from '../../operations/instance-availability.ts';
import { submitInstanceCreate } from '../../operations/instance-create.ts';
import { selectEnabledFlavours } from '../../store/flavours.ts';
import { selectOptionalHost } from '../../store/hosts.ts';
import { selectEnabledImages, selectOptionalImage } from '../../store/images.ts';
import { selectOptionalInstanceByName } from '../../store/instances.ts';
import { selectSettings } from '../../store/settings.ts';
import { contextOf, currentUser } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { formText, parseForm } from '../forms.ts';
import { statusOfKind } from '../middleware/error-handler.ts';
import { noteAudit } from '../middleware/guard.ts';
import { paths } from '../paths.ts';
import type { Route } from '../routes.ts';
import { render, renderFragment } from '../views.ts';
import { isIssuedInstanceId, issueInstanceId } from './issued-id.ts';
import { haNote } from './options-form.ts';
import { prioritiesFor } from './page.ts';
import { draftText, groupOf, reviewForm, sizeForm, sizeInButton, sizeOf, withSize, type DraftText } from './wizard-form.ts';

type Fields = Readonly<Record<string, Sentence>>;

interface Offer {
  readonly images: readonly Image[];
  readonly flavours: readonly Flavour[];
  readonly settings: Settings;
}

async function loadOffer({ db }: WebDeps): Promise<Offer> {
  const [images, flavours, settings] = await Promise.all([selectEnabledImages(db), selectEnabledFlavours(db), selectSettings(db)]);
  return { images, flavours, settings };
}

function judge(deps: WebDeps, user: User, size: Size, image: Image | undefined, antiAffinity: string | null): Promise<Verdict> {
  return admissionFor(deps.db, deps.clock, { user, request: { ...size, image, antiAffinity }, config: deps.config });
}

const imageOf = (offer: Offer, draft: Pick<DraftText, 'imageId'>): Image | undefined => offer.images.find((image) => image.id === draft.imageId);

const draftOf = ({ config }: WebDeps, user: User, typed: Readonly<Record<string, string>>): DraftText => draftText(typed, () => issueInstanceId(config.sessionSecret, user.id));

/** A new wizard: a free name, the first image and a size that would be granted now. */
async function freshDraft(deps: WebDeps, user: User, offer: Offer, asked: Readonly<Record<string, string>>): Promise<DraftText> {
  const draft = draftOf(deps, user, { imageId: offer.images[0]?.id ?? '', ha: offer.settings.availability.defaultHa ? 'on' : '', ...asked });
  const named = draft.name === '' ? { ...draft, name: await suggestName(deps, user) } : draft;
  if (sizeKeys.every((key) => named[key] !== '')) return named;
  const size = offer.flavours[0] ?? { vcpus: 1, memoryMib: 1024, diskGib: 10 };
  const verdict = await judge(deps, user, size, imageOf(offer, named), groupOf(named));
  return { ...withSize(named, verdict.fits ?? size), ...Object.fromEntries(sizeKeys.filter((key) => named[key] !== '').map((key) => [key, named[key]])) };
}

/** Statements that a page may cost; after that the name is a less pretty one. */
const maxNameTries = 10;

async function suggestName({ db }: WebDeps, user: User): Promise<string> {
  const stem = user.name.replace(/[^a-z0-9]+/gi, '-').replace(/^-+|-+$/g, '').slice(0, 24) || 'vm';
  for (let n = user.usage.instances + 1; n <= user.usage.instances + maxNameTries; n++) {
    const name = `${stem}-${n}`;
    if ((await selectOptionalInstanceByName(db, user.id, name)) === undefined) return name;
  }
  return `${stem}-${randomBytes(3).toString('hex')}`;
}

/** What the verdict's panel shows; the same on the page and as a fragment of it. */
async function panel(deps: WebDeps, user: User, offer: Offer, draft: Readonly<Record<string, string | undefined>> & { readonly imageId: string }): Promise<{ verdict: Verdict; [name: string]: unknown }> {
  const size = sizeOf(draft);
  const image = imageOf(offer, draft);
  const verdict = await judge(deps, user, size, image, groupOf(draft));
  return { verdict, image, size, prices: offer.settings.prices, price: priceOf(size, offer.settings.prices), pollIntervalMs: deps.config.pollIntervalMs };
}

async function renderSizePage(deps: WebDeps, req: Request, res: Response, offer: Offer, draft: DraftText, fields: Fields = {}, status = 200): Promise<void> {
  const { t } = contextOf(req);
  const shown = await panel(deps, currentUser(req), offer, draft);
  await render(req, res, 'instances/new', { title: t('instances.new.title'), scripts: ['/js/wizard.js'], ...shown, images: offer.images, flavours: offer.flavours, caps: offer.settings.caps, draft, fields, priorities: prioritiesFor(currentUser(req)), haNote: haNote(offer.settings) }, status);
}

async function renderReviewPage(deps: WebDeps, req: Request, res: Response, offer: Offer, draft: DraftText, problem: { fields?: Fields; sentence?: Sentence } = {}, status = 200): Promise<void> {
  const { t } = contextOf(req);
  const shown = await panel(deps, currentUser(req), offer, draft);
  const hostId = shown.verdict.placement?.hostId;
  const host = hostId === undefined ? undefined : await selectOptionalHost(deps.db, hostId);
  await render(req, res, 'instances/review', { title: t('instances.review.title'), ...shown, host, draft, fields: problem.fields ?? {}, problem: problem.sentence }, status);
}

/** GET /instances/new: step 1, with what the address asks for ("create one like this"). */
export function showNewInstance(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const offer = await loadOffer(deps);
    const asked = formText(req.query);
    const { sshKey: _key, userData: _data, instanceId: _id, ...harmless } = asked;
    await renderSizePage(deps, req, res, offer, await freshDraft(deps, currentUser(req), offer, harmless));
  };
}

/** POST /instances/new: step 1 again, after "Check", a preset, "use this size", or "Back" on the review. */
export function reviseNewInstance(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const offer = await loadOffer(deps);
    const form = formText(req.body);
    const draft = draftOf(deps, currentUser(req), form);
    const preset = offer.flavours.find((flavour) => flavour.id === form['flavour']) ?? sizeInButton(form['use']);
    if (preset !== undefined) return renderSizePage(deps, req, res, offer, withSize(draft, preset));
    const parsed = 'check' in form ? parseForm(sizeForm, form) : undefined;
    if (parsed === undefined || parsed.ok) return renderSizePage(deps, req, res, offer, draft);
    return renderSizePage(deps, req, res, offer, draft, parsed.fields, 422);
  };
}

/** GET /instances/new/verdict: the panel alone, while sliders are dragged. */
export function showVerdict(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const asked = formText(req.query);
    await renderFragment(req, res, 'instances/verdict', await panel(deps, currentUser(req), await loadOffer(deps), { imageId: '', ...asked }));
  };
}

/** POST /instances/new/review: step 2, when step 1 holds. */
export function reviewNewInstance(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const user = currentUser(req);
    const offer = await loadOffer(deps);
    const draft = draftOf(deps, user, formText(req.body));
    const parsed = parseForm(sizeForm, draft);
    const fields = parsed.ok ? await refuseChoices(deps, user, offer, parsed.value) : parsed.fields;
    if (Object.keys(fields).length > 0) return renderSizePage(deps, req, res, offer, draft, fields, 422);
    const verdict = await judge(deps, user, sizeOf(draft), imageOf(offer, draft), groupOf(draft));
    if (verdict.allowed) return renderReviewPage(deps, req, res, offer, draft);
    const refusal = admissionError(verdict);
    return renderSizePage(deps, req, res, offer, draft, refusal.fields, statusOfKind[refusal.kind]);
  };
}

/** POST /instances: the submission. Whatever stands against it leads back to the review, with everything typed. */
export function createInstance(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const user = currentUser(req);
    const draft = draftOf(deps, user, formText(req.body));
    noteAudit(req, { target: draft.name });
    const parsed = parseForm(reviewForm, draft);
    if (!parsed.ok) {
      const offer = await loadOffer(deps);
      const onSecondPage = Object.keys(parsed.fields).every((name) => name === 'sshKey' || name === 'userData');
      return onSecondPage ? renderReviewPage(deps, req, res, offer, draft, { fields: parsed.fields }, 422) : renderSizePage(deps, req, res, offer, draft, parsed.fields, 422);
    }
    try {
      if (!isIssuedInstanceId(deps.config.sessionSecret, user.id, parsed.value.instanceId)) throw new AppError('not-found', say('errors.not-found'));
      const image = await selectOptionalImage(deps.db, parsed.value.imageId);
      if (image === undefined) throw new AppError('invalid', say('form.not-a-choice'), { fields: { imageId: say('form.not-a-choice') } });
      const { instanceId, name, sshKey, userData, vcpus, memoryMib, diskGib, ha, haPriority, antiAffinity } = parsed.value;
      if (!mayGivePriority(user.role, haPriority, null)) throw priorityRefused();
      const seed = image.cloudInit ? { sshKey, userData } : { sshKey: '', userData: '' };
      const { instance } = await submitInstanceCreate(deps.operations, { instanceId, user, name, image, size: { vcpus, memoryMib, diskGib }, ha, haPriority, antiAffinity, ...seed });
      noteAudit(req, { target: instance.id, detail: instance.name });
      res.redirect(303, paths.instance(instance.id));
    } catch (error) {
      if (!(error instanceof AppError) || error.kind === 'host-unavailable') throw error;
      noteAudit(req, { detail: error.sentence.key });
      await renderReviewPage(deps, req, res, await loadOffer(deps), draft, { fields: error.fields, sentence: error.sentence }, statusOfKind[error.kind]);
    }
  };
}

/** What the form's grammar cannot know. */
async function refuseChoices({ db }: WebDeps, user: User, offer: Offer, chosen: { readonly instanceId: string; readonly name: string; readonly imageId: string; readonly haPriority: HaPriority }): Promise<Fields> {
  const namesake = await selectOptionalInstanceByName(db, user.id, chosen.name);
  return {
    ...(namesake === undefined || namesake.id === chosen.instanceId ? {} : { name: say('instances.new.name-taken') }),
    ...(mayGivePriority(user.role, chosen.haPriority, null) ? {} : priorityRefused().fields),
    ...(imageOf(offer, chosen) === undefined ? { imageId: say('form.not-a-choice') } : {}),
  };
}
