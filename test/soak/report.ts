// The report of a soak, in Markdown.
import type { Aftermath } from './aftermath.ts';
import type { SoakReport } from './soak.ts';

const seconds = (ms: number): string => (ms / 1000).toFixed(1);

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

export function renderReport(report: SoakReport): string {
  const { attacks, journal, findings, gaps } = report;
  const looks = journal.looks.map(({ elapsedMs }) => elapsedMs);
  const struck = attacks.map(({ attack }) => attack);
  const groups = [...new Set(struck.map(({ group }) => group))];
  const lines = [
    `Seed ${report.seed}; ${report.portals} portals, ${report.users} users, ${((report.to - report.from) / 60_000).toFixed(1)} minutes.`, '',
    '| attacked | killed | frozen |', '|---|---|---|',
    ...groups.map((group) => `| ${group} | ${struck.filter((each) => each.group === group && each.how === 'killed').length} | ${struck.filter((each) => each.group === group && each.how === 'frozen').length} |`), '',
    '| what users did | |', '|---|---|',
    `| changes acknowledged | ${journal.acknowledged.length} |`, `| changes nobody answered | ${journal.unanswered} |`, `| changes refused by the rules | ${[...journal.refused.values()].reduce((sum, total) => sum + total, 0)} |`,
    `| pages looked at | ${looks.length} |`, `| a page took (p50, p95, longest), s | ${seconds(percentile(looks, 0.5))}, ${seconds(percentile(looks, 0.95))}, ${seconds(Math.max(0, ...looks))} |`,
    `| hosts fenced, and their machines started elsewhere | ${report.recoveries.filter(({ proof }) => proof !== null).reduce((sum, { total }) => sum + total, 0)} |`,
    `| hosts back before they were fenced | ${report.recoveries.find(({ proof }) => proof === null)?.total ?? 0} |`,
    `| after the last attack, until no operation was open and every host back, s | ${seconds(report.settledMs)} |`, '',
    '| afterwards | looked at | |', '|---|---|---|',
    ...findings.map(({ invariant, checked, broken }) => `| ${invariant} | ${checked} | ${broken.length === 0 ? 'holds' : `**BROKEN (${broken.length})**`} |`), '',
    ...findings.filter(({ broken }) => broken.length > 0).flatMap(({ invariant, broken }) => [`**${invariant}**`, '', ...broken.slice(0, 20).map((line) => `- ${line}`), '']),
    `Gaps in the hosts' samples longer than ${seconds(report.gapMs)} s: ${gaps.length}${gaps.length === 0 ? '.' : `, the longest ${seconds(Math.max(...gaps.map(({ from, to }) => to - from)))} s.`}`, '',
    ...gaps.map(({ host, from, to, because }) => `- ${host}: ${seconds(to - from)} s from ${new Date(from).toISOString().slice(11, 19)} (${because.join(', ') || 'unexplained'})`), ...(gaps.length > 0 ? [''] : []),
    '| operations | ended | |', '|---|---|---|', ...report.ends.map(({ kind, state, total }) => `| ${kind} | ${state} | ${total} |`), '',
    ...(report.failures.length > 0 ? ['Failed with:', '', ...report.failures.map(({ kind, error, total }) => `- ${total} × ${kind}: ${error}`), ''] : []),
    ...(journal.refused.size > 0 ? ['Refused:', '', ...[...journal.refused].sort((a, b) => b[1] - a[1]).slice(0, 12).map(([words, total]) => `- ${total} × ${words}`), ''] : []),
    '| attack | works again after, s | longest page meanwhile, s | its operations, its jobs are another portal’s after, s | its host noticed, its instances elsewhere after, s |', '|---|---|---|---|---|', ...attacks.map(row), '',
  ];
  return lines.join('\n');
}

function row({ attack, longestPageMs, takeover, recovery }: Aftermath): string {
  const { at, restoredAt, target, how } = attack;
  const after = (ms: number | null, none: string): string => (ms === null ? none : seconds(ms));
  const work = takeover === undefined ? [] : [
    takeover.held.operations === 0 ? 'none' : `${takeover.held.operations}: ${after(takeover.operationsMs, 'back before')}`,
    takeover.held.jobs === 0 ? 'none' : `${takeover.held.jobs}: ${after(takeover.jobsMs, 'back before')}`,
  ];
  const restarts = recovery === undefined ? [] : [
    seconds(recovery.noticedAt - at),
    recovery.proof === null ? 'back before it was fenced' : `${recovery.report.restarted} of ${recovery.report.owed}: ${after(recovery.restartedAt === null ? null : recovery.restartedAt - at, '–')}`,
  ];
  return `| ${new Date(at).toISOString().slice(11, 19)} ${target} ${how} | ${after(restoredAt === null ? null : restoredAt - at, '–')} | ${after(longestPageMs, '–')} | ${work.join(', ')} | ${restarts.join(', ')} |`;
}

export function holds({ findings }: SoakReport): boolean {
  return findings.every(({ broken }) => broken.length === 0);
}
