// Every endpoint of the API.
import type { WebDeps } from '../deps.ts';
import { admissionEndpoints } from './admission.ts';
import { choiceEndpoints } from './choices.ts';
import type { Endpoint } from './endpoint.ts';
import { hostEndpoints } from './hosts.ts';
import { incidentEndpoints } from './incidents.ts';
import { instanceEndpoints } from './instances.ts';
import { meEndpoints } from './me.ts';
import { moveEndpoints } from './moves.ts';
import { operationEndpoints } from './operations.ts';
import { recoveryEndpoints } from './recoveries.ts';
import { resourceEndpoints } from './resources.ts';
import { settingsEndpoints } from './settings.ts';
import { suggestionEndpoints } from './suggestions.ts';
import { usageEndpoints } from './usage.ts';
import { userEndpoints } from './users.ts';

export function apiEndpoints(deps: WebDeps): Endpoint[] {
  return [
    ...instanceEndpoints(deps),
    ...moveEndpoints(deps),
    ...operationEndpoints(deps),
    ...choiceEndpoints(deps),
    ...admissionEndpoints(deps),
    ...hostEndpoints(deps),
    ...recoveryEndpoints(deps),
    ...suggestionEndpoints(deps),
    ...incidentEndpoints(deps),
    ...settingsEndpoints(deps),
    ...resourceEndpoints(deps),
    ...usageEndpoints(deps),
    ...userEndpoints(deps),
    ...meEndpoints(deps),
  ];
}
