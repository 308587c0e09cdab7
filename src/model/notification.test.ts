import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { say } from '../errors.ts';
import { defaultRules, messageRuleId, type AlertRule } from './alert-rule.ts';
import type { Incident } from './incident.ts';
import { fitting, groupsOf, isTimeZone, localTime, minuteOf, minuteText, retryAfterMs, wants, type ToldGroup, type Untold } from './notification.ts';

const [unreachable, , poolWarning] = defaultRules as readonly [AlertRule, AlertRule, AlertRule];
const rules = new Map(defaultRules.map((rule) => [rule.id, rule]));

function untold(rule: Pick<AlertRule, 'id' | 'condition' | 'severity'>, name: string, what: Untold['what'] = 'opened', words = 'alerts.nothing-known'): Untold {
  const incident: Incident = {
    id: name, ruleId: rule.id, condition: rule.condition, subject: { kind: 'host', id: name, name }, severity: rule.severity, state: 'open', sentence: say(words, { name }), openedAt: 1, resolvedAt: null,
    endReason: null, reopened: 0, acknowledgedAt: null, acknowledgedBy: null, note: null, toldAt: null,
  };
  return { incident, what };
}

function gather(all: readonly Untold[], overflow: ReadonlyMap<string, number> = new Map()): ToldGroup[] {
  return groupsOf(all, rules, overflow).map(({ group }) => group);
}

describe('groups', () => {
  it('make one line of many, most urgent first', () => {
    const groups = gather([untold(poolWarning, 'p'), ...Array.from({ length: 12 }, (_, i) => untold(unreachable, `kvm${i}`))]);
    assert.deepEqual(groups.map(({ total, severity }) => [total, severity]), [[12, 'critical'], [1, 'warning']]);
    assert.deepEqual(groups[0]?.sentence, say('alerts.many.host.unreachable', { total: 12 }));
    assert.equal(groups[0]?.incidents.length, 8);
    assert.deepEqual(groups[1]?.sentence, say('alerts.nothing-known', { name: 'p' }));
  });

  it('count those without an incident of their own', () => {
    assert.equal(gather([untold(unreachable, 'a')], new Map([[unreachable.id, 19_999]]))[0]?.total, 20_000);
  });

  it('keep messages apart, and what is over last', () => {
    const message = { id: messageRuleId, condition: 'message' as AlertRule['condition'], severity: 'critical' as const };
    const groups = gather([untold(unreachable, 'a', 'resolved'), untold(message, 'm1'), untold(message, 'm2'), untold(poolWarning, 'p')]);
    assert.deepEqual(groups.map(({ what, ruleId }) => [what, ruleId === messageRuleId]), [['opened', true], ['opened', true], ['opened', false], ['resolved', false]]);
  });

  it('fit into a row, whatever their words', () => {
    const long = Array.from({ length: 400 }, (_, i) => untold({ ...unreachable, id: `r${i % 40}` }, `${i}${'漢'.repeat(400)}`));
    const kept = fitting(gather(long));
    assert.ok(kept.length > 0);
    assert.ok(Buffer.byteLength(JSON.stringify({ groups: kept })) < 16_000);
  });

  it('that do not fit are the last ones, however long the first are', () => {
    const words = [...Array.from({ length: 6 }, () => '漢'.repeat(900)), ...Array.from({ length: 400 }, () => 'short')];
    const all = gather(words.map((reason, i) => {
      const { incident, what } = untold({ ...unreachable, id: `r${i}` }, `kvm${i}`);
      return { what, incident: { ...incident, sentence: say('alerts.nothing-known', { reason }) } };
    }));
    const kept = fitting(all);
    assert.deepEqual(kept.map(({ sentence }) => sentence), all.slice(0, kept.length).map(({ sentence }) => sentence));
    assert.ok(kept.length > 0 && Buffer.byteLength(JSON.stringify({ groups: kept })) < 16_000, String(kept.length));
  });

  it('are wanted from a severity on, and ended ones only where asked for', () => {
    const groups = gather([untold(unreachable, 'a'), untold(poolWarning, 'p'), untold(unreachable, 'b', 'resolved')]);
    const count = (minSeverity: 'critical' | 'warning', resolved: boolean): number => groups.filter((group) => wants({ minSeverity, resolved }, group)).length;
    assert.deepEqual([count('critical', false), count('critical', true), count('warning', false), count('warning', true)], [1, 2, 2, 3]);
  });
});

describe('attempts', () => {
  it('grow rarer and end after about a day', () => {
    const pauses = Array.from({ length: 13 }, (_, index) => retryAfterMs(index + 1) ?? 0);
    assert.deepEqual([...pauses].sort((a, b) => a - b), pauses);
    const hours = pauses.reduce((sum, each) => sum + each, 0) / 3_600_000;
    assert.ok(hours > 24 && hours < 30, String(hours));
    assert.equal(retryAfterMs(14), undefined);
  });
});

describe('wall clocks', () => {
  for (const [zone, text] of [['UTC', '2026-03-28 23:30'], ['Asia/Taipei', '2026-03-29 07:30'], ['America/New_York', '2026-03-28 19:30']] as const) {
    it(`${zone} shows ${text}`, () => assert.equal(localTime(Date.UTC(2026, 2, 28, 23, 30), zone).text, text));
  }
  it('know midnight, and time zones', () => {
    assert.deepEqual(localTime(0, 'UTC'), { day: '1970-01-01', minute: 0, text: '1970-01-01 00:00' });
    assert.ok(isTimeZone('Asia/Taipei') && !isTimeZone('Mars/Phobos') && !isTimeZone(''));
    assert.deepEqual([minuteOf('08:30'), minuteOf('24:00'), minuteOf('8:30'), minuteText(510)], [510, undefined, undefined, '08:30']);
  });
});
