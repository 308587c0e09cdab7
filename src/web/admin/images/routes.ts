// Images, for admins.
import type { WebDeps } from '../../deps.ts';
import type { Route } from '../../routes.ts';
import { changeImage, createImage, listImages, removeImage, setImageEnabled, showImage, showNewImage } from './images.ts';

export function adminImageRoutes(deps: WebDeps): Route[] {
  return [
    { method: 'get', path: '/admin/images', access: 'admin', handler: listImages(deps) },
    { method: 'get', path: '/admin/images/new', access: 'admin', handler: showNewImage(deps) },
    { method: 'post', path: '/admin/images', access: 'admin', audit: 'image.register', handler: createImage(deps) },
    { method: 'get', path: '/admin/images/:id', access: 'admin', handler: showImage(deps) },
    { method: 'post', path: '/admin/images/:id', access: 'admin', audit: 'image.change', handler: changeImage(deps) },
    { method: 'post', path: '/admin/images/:id/enable', access: 'admin', audit: 'image.enable', handler: setImageEnabled(deps, true) },
    { method: 'post', path: '/admin/images/:id/disable', access: 'admin', audit: 'image.disable', handler: setImageEnabled(deps, false) },
    { method: 'post', path: '/admin/images/:id/delete', access: 'admin', audit: 'image.delete', handler: removeImage(deps) },
  ];
}
