// Fields of what an owner wishes for the day a host fails; in the wizard, on the instance's page and in the API.
import { z } from 'zod';
import { say, type Sentence } from '../../errors.ts';
import type { StoragePool } from '../../model/host.ts';
import type { Settings } from '../../model/settings.ts';
import { antiAffinityPattern, haPriorities, type HaPriority, type Instance } from '../../model/instance.ts';
import { checkbox, complain, text } from '../forms.ts';

export const optionFields = ['ha', 'haPriority', 'antiAffinity'] as const;

export const optionsShape = {
  ha: checkbox(),
  haPriority: z.string().default('1').transform((raw, context): HaPriority => {
    const priority = haPriorities.find((each) => String(each) === raw);
    if (priority === undefined) complain(context, say('form.not-a-choice'));
    return priority ?? 1;
  }),
  // groups are compared by their letters: "Web" and "web" would be two for us and one for whoever typed them
  antiAffinity: text({ max: 32, pattern: { test: antiAffinityPattern, sentence: say('instances.options.bad-group') } }).transform((group) => (group === '' ? null : group.toLowerCase())),
};

/** As the form shows it. */
export function optionsText({ ha, haPriority, antiAffinity }: Pick<Instance, 'ha' | 'haPriority' | 'antiAffinity'>): Record<(typeof optionFields)[number], string> {
  return { ha: ha ? 'on' : '', haPriority: String(haPriority), antiAffinity: antiAffinity ?? '' };
}

/** Why a wish to be started elsewhere would help nothing now; pool: where its disk lies. */
export function haNote({ availability }: Pick<Settings, 'availability'>, pool?: Pick<StoragePool, 'shared'>): Sentence | undefined {
  if (!availability.enabled) return say('instances.options.ha-disabled');
  return pool?.shared === false ? say('instances.options.ha-local') : undefined;
}
