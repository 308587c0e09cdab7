// The only reader of process.env. Parsed once, frozen; a bad value stops the start and is named with what is allowed.
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { z } from 'zod';

const schema = z.object({
  PORT: z.coerce.number().int().min(0).max(65535).default(8080),
  LISTEN_ADDRESS: z.string().min(1).default('127.0.0.1'),
  /** what this portal is called beside others on the same database; no two may share one */
  PORTAL_NAME: z.string().min(1).max(100).optional(),
  /** what people type into the browser; links in mails and cookies' security follow it */
  PUBLIC_URL: z.url({ protocol: /^https?$/ }).optional(),
  /** mysql://user:password@host:port/database[?socketPath=/path]; several SQL nodes separated by commas */
  DATABASE_URL: z.string().min(1),
  DATABASE_ENGINE: z.enum(['innodb', 'ndbcluster']).default('innodb'),
  SESSION_SECRET: z.string().min(32).optional(),
  SESSION_SECRET_FILE: z.string().optional(),
  SMTP_URL: z.url({ protocol: /^smtps?$/ }).optional(),
  MAIL_FROM: z.string().default('cloud@localhost'),
  /** where the contact form's mail goes */
  CONTACT_ADDRESS: z.string().optional(),
  /** directory with cacert.pem, clientcert.pem, clientkey.pem for qemu+tls hosts whose URI has no pkipath */
  LIBVIRT_PKI_PATH: z.string().optional(),
  /** directories with fence_* programs (Debian's package fence-agents), separated by colons */
  FENCE_AGENTS_PATH: z.string().regex(/^\/[^:]*(?::\/[^:]*)*$/, 'absolute directories, separated by colons').default('/usr/sbin'),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  /** Express's "trust proxy": off unless a reverse proxy of yours sets X-Forwarded-For */
  TRUST_PROXY: z.string().default(''),
  /** milliseconds between two polls of a host */
  POLL_INTERVAL_MS: z.coerce.number().int().min(1000).max(600_000).default(10_000),
  /** milliseconds between two readings of a guest's memory and disks, which cost its host about six times the rest */
  DETAIL_INTERVAL_MS: z.coerce.number().int().min(1000).max(600_000).default(60_000),
  /** what Prometheus shows at /metrics; without one nobody reads it */
  METRICS_TOKEN: z.string().regex(/^\S{32,}$/, 'at least 32 characters, none of them blank').optional(),
  METRICS_TOKEN_FILE: z.string().optional(),
  /** no: /metrics leaves out the single instances */
  METRICS_INSTANCES: z.enum(['yes', 'no']).default('yes'),
});

export interface Config {
  readonly port: number;
  readonly listenAddress: string;
  readonly portalName: string;
  readonly publicUrl: string;
  readonly databaseUrls: readonly string[];
  readonly databaseEngine: 'innodb' | 'ndbcluster';
  readonly sessionSecret: string;
  readonly smtpUrl: string | undefined;
  readonly mailFrom: string;
  readonly contactAddress: string | undefined;
  readonly libvirtPkiPath: string | undefined;
  readonly fenceAgentsPath: readonly string[];
  readonly logLevel: string;
  readonly trustProxy: string;
  readonly pollIntervalMs: number;
  readonly detailIntervalMs: number;
  readonly metricsToken: string | undefined;
  readonly metricsInstances: boolean;
}

/** A value of the environment that cannot be used; the message names it and says what is allowed. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** Reads the environment. Throws ConfigError naming every bad variable at once. */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  // an empty variable in an env file means "not set"
  const present = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = schema.safeParse(present);
  if (!parsed.success) {
    const lines = parsed.error.issues.map((issue) => `  ${issue.path.join('.')}: ${issue.message}`);
    throw new ConfigError(`The configuration cannot be used (see .env.example):\n${lines.join('\n')}`);
  }
  const e = parsed.data;
  return Object.freeze({
    port: e.PORT,
    listenAddress: e.LISTEN_ADDRESS,
    portalName: (e.PORTAL_NAME ?? `${hostname()}:${e.PORT}`).slice(-100),
    publicUrl: (e.PUBLIC_URL ?? `http://127.0.0.1:${e.PORT}`).replace(/\/+$/, ''),
    databaseUrls: Object.freeze(e.DATABASE_URL.split(',').map((url) => url.trim())),
    databaseEngine: e.DATABASE_ENGINE,
    sessionSecret: e.SESSION_SECRET ?? readSecretFile(e.SESSION_SECRET_FILE),
    smtpUrl: e.SMTP_URL,
    mailFrom: e.MAIL_FROM,
    contactAddress: e.CONTACT_ADDRESS,
    libvirtPkiPath: e.LIBVIRT_PKI_PATH,
    fenceAgentsPath: Object.freeze(e.FENCE_AGENTS_PATH.split(':')),
    logLevel: e.LOG_LEVEL,
    trustProxy: e.TRUST_PROXY,
    pollIntervalMs: e.POLL_INTERVAL_MS,
    detailIntervalMs: e.DETAIL_INTERVAL_MS,
    metricsToken: e.METRICS_TOKEN ?? (e.METRICS_TOKEN_FILE === undefined ? undefined : readSecret('METRICS_TOKEN_FILE', e.METRICS_TOKEN_FILE)),
    metricsInstances: e.METRICS_INSTANCES === 'yes',
  });
}

function readSecretFile(path: string | undefined): string {
  if (path === undefined) {
    throw new ConfigError('SESSION_SECRET or SESSION_SECRET_FILE: one is needed, at least 32 random characters (openssl rand -hex 32)');
  }
  return readSecret('SESSION_SECRET_FILE', path);
}

function readSecret(name: string, path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw new ConfigError(`${name}: ${path} cannot be read`, { cause });
  }
  if (text.length < 32) throw new ConfigError(`${name}: ${path} holds ${text.length} characters; at least 32 are needed`);
  return text;
}
