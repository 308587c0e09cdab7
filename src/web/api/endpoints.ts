// Every endpoint of the API.
import type { WebDeps } from '../deps.ts';
import { admissionEndpoints } from './admission.ts';
import { choiceEndpoints } from './choices.ts';
import type { Endpoint } from './endpoint.ts';
import { hostEndpoints } from './hosts.ts';
import { instanceEndpoints } from './instances.ts';
import { meEndpoints } from './me.ts';
import { operationEndpoints } from './operations.ts';
import { resourceEndpoints } from './resources.ts';
import { settingsEndpoints } from './settings.ts';
import { userEndpoints } from './users.ts';

export function apiEndpoints(deps: WebDeps): Endpoint[] {
  return [
    ...instanceEndpoints(deps),
    ...operationEndpoints(deps),
    ...choiceEndpoints(deps),
    ...admissionEndpoints(deps),
    ...hostEndpoints(deps),
    ...settingsEndpoints(deps),
    ...resourceEndpoints(deps),
    ...userEndpoints(deps),
    ...meEndpoints(deps),
  ];
}
