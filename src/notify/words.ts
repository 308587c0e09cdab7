// Notifications in words: a mail in its reader's language, and the JSON of a webhook in the site's.
import type { Sentence } from '../errors.ts';
import { messageCondition, ruleWords, type AlertRule } from '../model/alert-rule.ts';
import { localTime, type ToldGroup, type ToldIncident } from '../model/notification.ts';
import type { Settings } from '../model/settings.ts';
import type { Language } from '../model/user.ts';
import type { DigestContent } from '../operations/digest.ts';
import { severityOf } from '../operations/incidents.ts';
import { sentenceText, translator, type Translate } from '../web/locales/index.ts';
import { paths } from '../web/paths.ts';

export interface Frame {
  readonly settings: Pick<Settings, 'site' | 'alerts'>;
  readonly publicUrl: string;
}
export interface Letter { readonly subject: string; readonly text: string }

const subjectLength = 150;

/** Three in the morning, on a phone: what is wrong first, then where, then the address to tap on. */
export function incidentsLetter(groups: readonly ToldGroup[], language: Language, { settings, publicUrl }: Frame): Letter {
  const t = translator(language);
  const [first] = groups;
  const more = groups.length > 1 ? ` ${t('alerts.mail.and-more', { total: groups.length - 1 })}` : '';
  const headline = first === undefined ? '' : `${t(first.what === 'resolved' ? 'alerts.mail.resolved' : `alerts.severity.${severityOf(groups)}`)}: ${sentenceText(t, first.sentence)}${more}`;
  const parts = groups.map((group) => groupLines(group, t, settings.alerts.timeZone, publicUrl).join('\n'));
  return { subject: subjectOf(settings, headline), text: `${[...parts, `${t('alerts.mail.all')}: ${publicUrl}${paths.adminPage('alerts')}`].join('\n\n')}\n` };
}

function groupLines(group: ToldGroup, t: Translate, timeZone: string, publicUrl: string): string[] {
  const mark = t(group.what === 'resolved' ? 'alerts.mail.resolved' : `alerts.severity.${group.severity}`);
  const [first] = group.incidents;
  const lines = [`[${mark}] ${sentenceText(t, group.sentence)}`];
  if (group.ruleName !== '') lines.push(`${t('alerts.rule')}: ${group.ruleName}`);
  if (group.total > 1) {
    for (const each of group.incidents) lines.push(`  - ${sentenceText(t, each.sentence)} ${whenOf(each, timeZone)}`);
    lines.push(...notListed(group.total - group.incidents.length, t));
  } else if (first !== undefined) lines.push(whenOf(first, timeZone), `${publicUrl}${paths.incident(first.id)}`);
  if (group.condition === messageCondition) lines.push(`${publicUrl}${paths.adminPage('availability')}`);
  return lines;
}

function notListed(total: number, t: Translate): string[] {
  return total > 0 ? [`  ${t('alerts.mail.not-listed', { total })}`] : [];
}

function whenOf({ openedAt, resolvedAt }: ToldIncident, timeZone: string): string {
  const end = resolvedAt === null ? '' : ` – ${localTime(resolvedAt, timeZone).text}`;
  return `(${localTime(openedAt, timeZone).text}${end}, ${timeZone})`;
}

function subjectOf({ site }: Pick<Settings, 'site'>, words: string): string {
  const subject = `[${site.name}] ${words}`.replace(/\s+/g, ' ');
  return [...subject].length > subjectLength ? `${[...subject].slice(0, subjectLength - 1).join('')}…` : subject;
}

export function testLetter(language: Language, { settings, publicUrl }: Frame): Letter {
  const t = translator(language);
  return { subject: subjectOf(settings, t('alerts.mail.test')), text: `${t('alerts.mail.test-text')}\n\n${publicUrl}${paths.adminPage('alerts')}\n` };
}

export function digestLetter(digest: DigestContent, rules: ReadonlyMap<string, AlertRule>, language: Language, { settings, publicUrl }: Frame): Letter {
  const t = translator(language);
  const { timeZone } = settings.alerts;
  const number = new Intl.NumberFormat(language);
  const { remaining, hosts, instances } = digest;
  const total = digest.opened.reduce((sum, each) => sum + each.total, 0);
  const parts = [
    [t('alerts.digest.period', { from: localTime(digest.from, timeZone).text, until: localTime(digest.to, timeZone).text, zone: timeZone })],
    digest.opened.length === 0 ? [t('alerts.digest.calm')] : [t('alerts.digest.opened', { total }), ...digest.opened.map((each) => `  - ${each.total} × ${conditionText(t, each, rules)}`)],
    digest.stillOpen === 0 ? [t('alerts.digest.none-open')]
      : [t('alerts.digest.open', { total: digest.stillOpen }), ...digest.open.map((each) => `  - ${sentenceText(t, each.sentence)} ${whenOf(each, timeZone)}`), ...notListed(digest.stillOpen - digest.open.length, t)],
    [
      t('alerts.digest.hosts', { up: hosts.up, total: hosts.total }), t('alerts.digest.instances', { running: instances.running, total: instances.total }),
      t('alerts.digest.remaining', { vcpus: number.format(remaining.vcpus), memory: number.format(Math.round(remaining.memoryMib / 1024)), disk: number.format(remaining.diskGib) }),
      ...(digest.failedOperations > 0 ? [t('alerts.digest.failed', { total: digest.failedOperations })] : []),
      ...(digest.lastBackupAt === null ? [] : [t('alerts.digest.backup', { at: localTime(digest.lastBackupAt, timeZone).text })]),
    ],
    ...(digest.outlook.length === 0 ? [] : [[...digest.outlook.map((sentence) => sentenceText(t, sentence)), ...notListed(digest.outlookTotal - digest.outlook.length, t)]]),
    [`${t('alerts.mail.all')}: ${publicUrl}${paths.adminPage('alerts')}`],
  ];
  return { subject: subjectOf(settings, t('alerts.digest.subject', { day: localTime(digest.to, timeZone).day, total, open: digest.stillOpen })), text: `${parts.map((lines) => lines.join('\n')).join('\n\n')}\n` };
}

function conditionText(t: Translate, each: { readonly ruleId: string; readonly condition: string }, rules: ReadonlyMap<string, AlertRule>): string {
  const rule = rules.get(each.ruleId);
  if (rule !== undefined) return rule.name === '' ? sentenceText(t, ruleWords(rule)) : rule.name;
  return t(`alerts.condition.${each.condition}`);
}

// ── webhooks ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** docs/admin.md describes it. `text` is for chats and people, the rest for programs. */
export function incidentsBody(id: string, at: number, groups: readonly ToldGroup[], frame: Frame): string {
  const t = translator(frame.settings.site.defaultLanguage);
  const text = (sentence: Sentence): string => sentenceText(t, sentence);
  return JSON.stringify({
    type: 'incidents', ...envelope(id, at, frame), text: groups.map((group) => `[${t(group.what === 'resolved' ? 'alerts.mail.resolved' : `alerts.severity.${group.severity}`)}] ${text(group.sentence)}`).join('\n'),
    groups: groups.map((group) => ({
      what: group.what, severity: group.severity, rule: { id: group.ruleId, name: group.ruleName }, condition: group.condition, text: text(group.sentence), total: group.total,
      incidents: group.incidents.map((incident) => ({
        id: incident.id, subject: incident.subject, text: text(incident.sentence), openedAt: new Date(incident.openedAt).toISOString(),
        resolvedAt: incident.resolvedAt === null ? null : new Date(incident.resolvedAt).toISOString(), url: `${frame.publicUrl}${paths.incident(incident.id)}`,
      })),
    })),
  });
}

export function testBody(id: string, at: number, frame: Frame): string {
  const t = translator(frame.settings.site.defaultLanguage);
  return JSON.stringify({ type: 'test', ...envelope(id, at, frame), text: t('alerts.mail.test-text'), groups: [] });
}

function envelope(id: string, at: number, { settings, publicUrl }: Frame): { id: string; at: string; cloud: { name: string; url: string } } {
  return { id, at: new Date(at).toISOString(), cloud: { name: settings.site.name, url: publicUrl } };
}
