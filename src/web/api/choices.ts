// What an instance can be made from: images and flavours. Users see those that may be chosen, admins all.
import { z } from 'zod';
import { AppError, say } from '../../errors.ts';
import type { Image } from '../../model/image.ts';
import type { User } from '../../model/user.ts';
import { selectFlavours, selectOptionalFlavour } from '../../store/flavours.ts';
import { selectImages, selectOptionalImage } from '../../store/images.ts';
import type { WebDeps } from '../deps.ts';
import { endpoint, type Endpoint } from './endpoint.ts';
import { named } from './openapi.ts';
import { pageOf, pageQuery, slicePage } from './paging.ts';
import { flavourBody, flavourSchema, idParams, imageBody, imageSchema } from './shapes.ts';

const imagePage = named('ImagePage', pageOf(imageSchema));
const flavourPage = named('FlavourPage', pageOf(flavourSchema));

function mayChoose(user: User, choice: { readonly enabled: boolean }): boolean {
  return choice.enabled || user.role === 'admin';
}

/** The image that a request names in `imageId`. Throws invalid for one that cannot be chosen now, by anybody. */
export async function chosenImage({ db }: WebDeps, imageId: string): Promise<Image> {
  const image = await selectOptionalImage(db, imageId);
  if (image?.enabled !== true) throw new AppError('invalid', say('api.errors.invalid'), { fields: { imageId: say('form.not-an-id') } });
  return image;
}

export function choiceEndpoints({ db }: WebDeps): Endpoint[] {
  return [
    endpoint({
      method: 'get', path: '/images', id: 'listImages', access: 'user', scope: 'read', status: 200, summary: say('api.summary.listImages'),
      query: z.strictObject(pageQuery),
      response: imagePage,
      handler: async ({ user, query }) => ({ body: slicePage((await selectImages(db)).filter((image) => mayChoose(user, image)).map(imageBody), query) }),
    }),
    endpoint({
      method: 'get', path: '/images/:id', id: 'getImage', access: 'user', scope: 'read', status: 200, summary: say('api.summary.getImage'),
      params: idParams,
      response: imageSchema,
      handler: async ({ user, params }) => {
        const image = await selectOptionalImage(db, params.id);
        if (image === undefined || !mayChoose(user, image)) throw new AppError('not-found', say('errors.not-found'));
        return { body: imageBody(image) };
      },
    }),
    endpoint({
      method: 'get', path: '/flavours', id: 'listFlavours', access: 'user', scope: 'read', status: 200, summary: say('api.summary.listFlavours'),
      query: z.strictObject(pageQuery),
      response: flavourPage,
      handler: async ({ user, query }) => ({ body: slicePage((await selectFlavours(db)).filter((flavour) => mayChoose(user, flavour)).map(flavourBody), query) }),
    }),
    endpoint({
      method: 'get', path: '/flavours/:id', id: 'getFlavour', access: 'user', scope: 'read', status: 200, summary: say('api.summary.getFlavour'),
      params: idParams,
      response: flavourSchema,
      handler: async ({ user, params }) => {
        const flavour = await selectOptionalFlavour(db, params.id);
        if (flavour === undefined || !mayChoose(user, flavour)) throw new AppError('not-found', say('errors.not-found'));
        return { body: flavourBody(flavour) };
      },
    }),
  ];
}
