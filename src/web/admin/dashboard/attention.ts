// What needs an admin's attention now, most urgent first. Read from the database alone: the page opens while hosts are away.
import { say, type Sentence } from '../../../errors.ts';
import { isOpenForNew } from '../../../model/capacity.ts';
import { suspectsOwnNetwork } from '../../../model/recovery.ts';
import { selectGate } from '../../../store/gate.ts';
import { countContactMessages } from '../../../store/contact-messages.ts';
import { selectDiscrepancies } from '../../../store/discrepancies.ts';
import { selectHosts } from '../../../store/hosts.ts';
import { selectEnabledImages } from '../../../store/images.ts';
import { countIncidents } from '../../../store/incidents.ts';
import { countFailedOperations } from '../../../store/operations.ts';
import { selectOpenRecoveries } from '../../../store/recoveries.ts';
import { countUsersByState } from '../../../store/users.ts';
import type { WebDeps } from '../../deps.ts';
import { paths } from '../../paths.ts';

export interface Attention {
  readonly level: 'danger' | 'warning' | 'info';
  readonly icon: string;
  readonly sentence: Sentence;
  readonly path: string;
}

const dayMs = 86_400_000;

export async function findAttention({ db, clock, config, mailer }: WebDeps): Promise<Attention[]> {
  const [hosts, gate, discrepancies, failed, users, messages, images, recoveries, incidents] = await Promise.all([
    selectHosts(db), selectGate(db), selectDiscrepancies(db), countFailedOperations(db, clock.now() - dayMs),
    countUsersByState(db), countContactMessages(db), selectEnabledImages(db), selectOpenRecoveries(db), countIncidents(db),
  ]);
  const found: Attention[] = [];
  const add = (level: Attention['level'], icon: string, sentence: Sentence, path: string): void => void found.push({ level, icon, sentence, path });
  const away = hosts.filter((host) => host.state !== 'up' && host.wish === 'enabled');
  if (suspectsOwnNetwork(hosts)) add('danger', 'server-off', say('attention.isolated'), paths.adminPage('availability'));
  // what a recovery waits for, above all a person, before the bare fact that a host is away
  for (const { waitsFor } of recoveries) if (waitsFor !== null) add('danger', 'alert-triangle', waitsFor, paths.adminPage('availability'));
  for (const host of away.slice(0, 10)) add('danger', 'server-off', say(`attention.host-${host.state}`, { name: host.name, reason: host.reason ?? '–' }), paths.adminItem('hosts', host.id));
  if (away.length > 10) add('danger', 'server-off', say('attention.more-hosts', { total: away.length - 10 }), paths.adminPage('hosts'));
  if (incidents.open > 0) add(incidents.critical > 0 ? 'danger' : 'warning', 'bell', say('attention.incidents', { total: incidents.open }), paths.adminPage('alerts'));
  if (hosts.length > 0 && !hosts.some(isOpenForNew)) add('warning', 'lock', say('attention.no-open-hosts'), paths.adminPage('hosts'));
  if (hosts.length === 0) add('warning', 'server', say('attention.no-hosts'), `${paths.adminPage('hosts')}/new`);
  if (gate.closed) add('warning', 'lock', say('attention.gate-closed'), paths.adminPage('thresholds'));
  if (discrepancies.length > 0) add('warning', 'alert-triangle', say('attention.discrepancies', { total: discrepancies.length }), paths.adminPage('discrepancies'));
  if (failed > 0) add('warning', 'circle-x', say('attention.failed', { total: failed }), `${paths.adminPage('operations')}?state=failed`);
  if (hosts.length > 0 && images.length === 0) add('warning', 'disc', say('attention.no-images'), paths.adminPage('images'));
  if (users.pending > 0) add('info', 'user-check', say('attention.pending', { total: users.pending }), `${paths.adminPage('users')}?state=pending`);
  if (messages.unread > 0) add('info', 'mail', say('attention.unread', { total: messages.unread }), paths.adminPage('messages'));
  if (messages.notMailed > 0) add('info', 'mail-x', say('attention.not-mailed', { total: messages.notMailed }), paths.adminPage('messages'));
  if (config.contactAddress !== undefined && !mailer.enabled) add('info', 'mail-x', say('attention.mail-off'), paths.adminPage('messages'));
  return found;
}
