// Switching a host's power by its fence agent. `off` is proven only by what a following status says: an agent that says
// "ok" while the machine still has power would let an instance run twice.
import { constants } from 'node:fs';
import { access, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterStandstill } from '../clock.ts';
import { AppError, say } from '../errors.ts';
import { runAgent, type AgentResult } from './agent-process.ts';
import { isWithheld, parseMetadata, type AgentDescription } from './metadata.ts';
import { createSecretBox, type SecretBox, type Secrets } from './secret-box.ts';

export interface FenceTarget {
  /** fence_ipmilan, fence_apc, … */
  readonly agent: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly secrets: Secrets;
}

export interface FenceOptions {
  readonly signal?: AbortSignal;
}

export interface Fencing extends SecretBox {
  /** names of the agents that are installed here */
  listAgents(): Promise<string[]>;
  /** Throws not-found for one that is not installed, conflict for one that does not describe itself. */
  describeAgent(agent: string): Promise<AgentDescription>;
  /** Has it power? Throws FenceError, without any secret in its words. */
  status(target: FenceTarget, options?: FenceOptions): Promise<'on' | 'off'>;
  /** Resolves when it has no power, as a status after it said. Throws FenceError. */
  powerOff(target: FenceTarget, options?: FenceOptions): Promise<void>;
  /** Resolves when the agent has switched it on. Throws FenceError. */
  powerOn(target: FenceTarget, options?: FenceOptions): Promise<void>;
}

/** The agent failed, or did not do what it said. `sentence` carries the agent's own words as its reason. */
export class FenceError extends AppError {}

export interface FencingTimes {
  /** Longer: the instances of a dead host wait for a dead management board. Shorter: slow boards never prove anything. */
  readonly actionMs: number;
  readonly statusMs: number;
  readonly metadataMs: number;
}

export const defaultFencingTimes: FencingTimes = { actionMs: 40_000, statusMs: 20_000, metadataMs: 10_000 };

const agentName = /^fence_[a-z0-9_]{1,56}$/;
const exitOff = 2;
const maxValueLength = 500;

export function createFencing(options: { readonly directories: readonly string[]; readonly sessionSecret: string; readonly times?: Partial<FencingTimes> }): Fencing {
  const times = { ...defaultFencingTimes, ...options.times };

  const pathOf = async (agent: string): Promise<string> => {
    if (agentName.test(agent)) {
      for (const directory of options.directories) {
        const path = join(directory, agent);
        if (await access(path, constants.X_OK).then(() => true, () => false)) return path;
      }
    }
    throw new FenceError('not-found', say('fencing.no-agent', { agent: agent.slice(0, 64) }));
  };

  const run = async (target: FenceTarget, action: string, timeoutMs: number, signal: AbortSignal | undefined): Promise<AgentResult> => {
    const path = await pathOf(target.agent);
    // a portal that was frozen may have this work no longer: its timers abort the signal
    await afterStandstill();
    const result = await runAgent({ path, options: { ...optionsOf(target), action }, timeoutMs, signal }).catch((error: unknown) => {
      throw new FenceError('conflict', say('fencing.not-run', { agent: target.agent, reason: redact(String(error), target) }), { cause: error });
    });
    if (result.code === null) throw new FenceError('host-unavailable', say('fencing.timeout', { agent: target.agent, action, seconds: Math.round(timeoutMs / 1000) }));
    return { ...result, stderr: redact(result.stderr, target) };
  };

  const failed = (target: FenceTarget, action: string, { code, stderr }: AgentResult): FenceError =>
    new FenceError('conflict', say('fencing.failed', { agent: target.agent, action, reason: stderr === '' ? `exit ${code}` : stderr }));

  const status = async (target: FenceTarget, { signal }: FenceOptions = {}): Promise<'on' | 'off'> => {
    const result = await run(target, 'status', times.statusMs, signal);
    if (result.code === 0) return 'on';
    if (result.code === exitOff) return 'off';
    throw failed(target, 'status', result);
  };

  return {
    ...createSecretBox(options.sessionSecret),
    async listAgents() {
      const lists = await Promise.all(options.directories.map((directory) => readdir(directory).catch(() => [])));
      return [...new Set(lists.flat())].filter((name) => agentName.test(name)).sort();
    },
    async describeAgent(agent) {
      const result = await run({ agent, parameters: {}, secrets: {} }, 'metadata', times.metadataMs, undefined);
      const described = result.code === 0 ? parseMetadata(agent, result.stdout) : undefined;
      if (described === undefined) throw new FenceError('conflict', say('fencing.no-metadata', { agent }));
      return described;
    },
    status,
    async powerOff(target, actionOptions = {}) {
      const result = await run(target, 'off', times.actionMs, actionOptions.signal);
      if (result.code !== 0) throw failed(target, 'off', result);
      if ((await status(target, actionOptions)) !== 'off') throw new FenceError('conflict', say('fencing.still-on', { agent: target.agent }));
    },
    async powerOn(target, { signal } = {}) {
      const result = await run(target, 'on', times.actionMs, signal);
      if (result.code !== 0) throw failed(target, 'on', result);
    },
  };
}

/** What is stored was checked when it was typed; a row of an older version, or one written by hand, was not. */
function optionsOf({ parameters, secrets }: FenceTarget): Record<string, string> {
  const all = Object.entries({ ...parameters, ...secrets });
  for (const [name, value] of all) {
    if (isWithheld(name) || !(name in secrets ? isFenceSecret(value) : isFenceValue(value))) throw new FenceError('invalid', say('fencing.bad-parameter', { name: name.slice(0, 64) }));
  }
  return Object.fromEntries(all);
}

/** One line, or it would be an option of its own. */
export function isFenceSecret(value: string): boolean {
  return value.length <= maxValueLength && !/[\u0000-\u001f\u007f]/.test(value);
}

/**
 * Agents put these into the command lines of ssh and ipmitool, split at spaces: what begins with "-" would be an option
 * there, and ssh has some that run programs.
 */
export function isFenceValue(value: string): boolean {
  return isFenceSecret(value) && (/^-?\d+$/.test(value) || !/(?:^|\s)["'\\]*-/.test(value));
}

/** Agents repeat their options in their complaints, and those of the programs and sites that they call. */
function redact(text: string, { parameters, secrets }: FenceTarget): string {
  let clean = text;
  for (const secret of Object.values(secrets).filter((each) => each !== '')) {
    for (const form of writtenForms(secret, parameters['username'] ?? '')) clean = clean.replaceAll(form, '***');
  }
  return clean.slice(-500);
}

/** A secret as it is, and as Python, a shell, JSON, a URL or HTTP's Authorization writes it. */
function writtenForms(secret: string, user: string): Set<string> {
  const python = secret.replaceAll('\\', '\\\\');
  const quoted = python.replaceAll("'", "\\'");
  const json = JSON.stringify(secret).slice(1, -1);
  const url = encodeURIComponent(secret).replace(/[!'()*]/g, (each) => `%${hex(each)}`);
  return new Set([
    secret, python, quoted, [...quoted].map((each) => (each > '~' ? [...Buffer.from(each)].map((byte) => `\\x${byte.toString(16)}`).join('') : each)).join(''),
    secret.replaceAll("'", `'"'"'`), json, json.replace(/[^ -~]/g, (each) => `\\u${hex(each).padStart(4, '0').toLowerCase()}`),
    encodeURIComponent(secret), url, url.replaceAll('%2F', '/'), url.replaceAll('%20', '+'), Buffer.from(`${user}:${secret}`).toString('base64'), Buffer.from(secret).toString('base64'),
  ]);
}

const hex = (character: string): string => character.charCodeAt(0).toString(16).toUpperCase();
