// Every string a person reads, in both languages: one file an area, joined here.
import { createInstance, type i18n } from 'i18next';
import type { Sentence } from '../../errors.ts';
import type { Role } from '../../model/access.ts';
import { languages, type Language } from '../../model/user.ts';
import { accounts } from './accounts.ts';
import { admin } from './admin.ts';
import { admission } from './admission.ts';
import { alerts } from './alerts.ts';
import { api } from './api.ts';
import { audit } from './audit.ts';
import { availability } from './availability.ts';
import { balancing } from './balancing.ts';
import { burnIn } from './burn-in.ts';
import { charts } from './charts.ts';
import { common } from './common.ts';
import { consoleMessages } from './console.ts';
import { contact } from './contact.ts';
import { database } from './database.ts';
import { forecast } from './forecast.ts';
import { hostEvents } from './host-events.ts';
import { hosts } from './hosts.ts';
import { hypervisor } from './hypervisor.ts';
import type { Messages } from './define.ts';
import { home } from './home.ts';
import { images } from './images.ts';
import { instances } from './instances.ts';
import { maintenance } from './maintenance.ts';
import { migration } from './migration.ts';
import { monitor } from './monitor.ts';
import { monitoring } from './monitoring.ts';
import { moves } from './moves.ts';
import { operations } from './operations.ts';
import { placement } from './placement.ts';
import { portals } from './portals.ts';
import { usage } from './usage.ts';

const areas: readonly Messages[] = [
  accounts,
  admin,
  admission,
  alerts,
  api,
  audit,
  balancing,
  burnIn,
  availability,
  charts,
  common,
  consoleMessages,
  contact,
  database,
  forecast,
  hostEvents,
  hosts,
  hypervisor,
  home,
  images,
  instances,
  maintenance,
  migration,
  monitor,
  monitoring,
  moves,
  operations,
  placement,
  portals,
  usage,
];

/** The whole catalogue. Throws when two areas define one key. */
export const catalogue: Messages = join();

function join(): Messages {
  const all: Record<string, readonly [string, string]> = {};
  for (const area of areas) {
    for (const [key, texts] of Object.entries(area)) {
      if (key in all) throw new Error(`the catalogue has ${key} twice`);
      all[key] = texts;
    }
  }
  return all;
}

const i18next: i18n = createInstance();
await i18next.init({
  fallbackLng: 'en',
  supportedLngs: [...languages],
  keySeparator: false,
  nsSeparator: false,
  // the views escape; here it would be done twice
  interpolation: { escapeValue: false },
  resources: {
    en: { translation: Object.fromEntries(Object.entries(catalogue).map(([key, texts]) => [key, texts[0]])) },
    'zh-TW': { translation: Object.fromEntries(Object.entries(catalogue).map(([key, texts]) => [key, texts[1]])) },
  },
});

export type Translate = (key: string, params?: Readonly<Record<string, string | number>>) => string;

/** The texts of one language. An unknown key comes back as itself. */
export function translator(language: Language): Translate {
  const fixed = i18next.getFixedT(language);
  const column = language === 'en' ? 0 : 1;
  // a page has hundreds of words without parameters: those need no interpolation
  return (key, params) => (params === undefined ? (catalogue[key]?.[column] ?? key) : fixed(key, params));
}

/** A Sentence in one language; parameters that are themselves keys are written as `$key`: they are looked up too. */
export function sentenceText(t: Translate, sentence: Sentence): string {
  const params = Object.entries(sentence.params ?? {}).map(([name, value]): [string, string | number] => [
    name,
    // what a person typed may begin like that too
    typeof value === 'string' && value.startsWith('$') && value.slice(1) in catalogue ? t(value.slice(1)) : value,
  ]);
  return t(sentence.key, Object.fromEntries(params));
}

/** How hosts reach each other and where their files lie, in sentences about a move that its machine's owner reads too. */
const placesOfHosts = ['address', 'path'] as const;

/**
 * A Sentence as its reader may see it. `reason` holds libvirt's or the system's own words, which may name files of a host
 * and other people's machines: only admins read those.
 */
export function sentenceFor(role: Role | undefined, t: Translate, sentence: Sentence): string {
  const { key, params } = sentence;
  if (role === 'admin' || params === undefined) return sentenceText(t, sentence);
  const hidden = key.startsWith('migration.') ? placesOfHosts.filter((name) => name in params).map((name) => [name, '…']) : [];
  const reason = params['reason'] === undefined ? {} : { reason: '$hypervisor.reason-for-admins' };
  return sentenceText(t, { ...sentence, params: { ...params, ...Object.fromEntries(hidden), ...reason } });
}
