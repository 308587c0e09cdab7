// "May I create now?": the whole verdict on a page, for a size in the address.
import { decideAdmission } from '../../model/admission.ts';
import { priceOf } from '../../model/price.ts';
import { loadAdmission } from '../../operations/admission.ts';
import { selectEnabledFlavours } from '../../store/flavours.ts';
import { selectEnabledImages } from '../../store/images.ts';
import { contextOf, currentUser } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { formText } from '../forms.ts';
import { sizeInButton, sizeOf } from '../instances/wizard-form.ts';
import { paths } from '../paths.ts';
import type { Route } from '../routes.ts';
import { render } from '../views.ts';

function showAdmission(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { t } = contextOf(req);
    const asked = formText(req.query);
    const [images, flavours] = await Promise.all([selectEnabledImages(deps.db), selectEnabledFlavours(deps.db)]);
    const image = images.find((each) => each.id === asked['imageId']);
    const isAsked = ['vcpus', 'memoryMib', 'diskGib'].some((key) => key in asked);
    const size = sizeInButton(asked['use']) ?? (isAsked ? sizeOf(asked) : sizeOf(textOfSize(flavours[0] ?? { vcpus: 1, memoryMib: 1024, diskGib: 10 })));
    const input = await loadAdmission(deps.db, deps.clock, { user: currentUser(req), request: { ...size, image }, config: deps.config });
    const { prices, caps } = input.settings;
    await render(req, res, 'admission/show', {
      title: t('admission.title'), scripts: ['/js/admission.js'], images, image, size, typed: isAsked && asked['use'] === undefined ? asked : textOfSize(size), verdict: decideAdmission(input),
      prices, price: priceOf(size, prices), caps, quota: input.quota, usage: input.usage, gate: input.gate, pollIntervalMs: deps.config.pollIntervalMs,
    });
  };
}

function textOfSize({ vcpus, memoryMib, diskGib }: { readonly vcpus: number; readonly memoryMib: number; readonly diskGib: number }): Record<string, string> {
  return { vcpus: String(vcpus), memoryMib: String(memoryMib), diskGib: String(diskGib) };
}

export function admissionRoutes(deps: WebDeps): Route[] {
  return [{ method: 'get', path: paths.admission, access: 'user', handler: showAdmission(deps) }];
}
