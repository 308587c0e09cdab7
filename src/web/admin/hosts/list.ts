// All hosts: what each is, whether it answers, how much of it is promised.
import { hostLimit } from '../../../model/capacity.ts';
import { selectHosts } from '../../../store/hosts.ts';
import { selectLatestHostSamples } from '../../../store/samples.ts';
import { selectSettings } from '../../../store/settings.ts';
import { contextOf } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';

export function listHosts(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const [hosts, { overcommit }] = await Promise.all([selectHosts(deps.db), selectSettings(deps.db)]);
    const samples = await selectLatestHostSamples(deps.db, hosts.map((host) => host.subjectId), deps.clock.now());
    const rows = hosts.map((host) => ({ ...host, limit: hostLimit(host, overcommit), sample: samples.get(host.subjectId) ?? null }));
    await render(req, res, 'admin/hosts/list', { title: contextOf(req).t('hosts.title'), rows, pollIntervalMs: deps.config.pollIntervalMs });
  };
}
