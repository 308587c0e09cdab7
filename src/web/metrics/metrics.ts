// GET /metrics: figures for Prometheus, for who shows the token of the settings. Everything comes from the database and from
// this process, never from a hypervisor: a host that hangs holds up nothing here.
import { createHash, timingSafeEqual } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setImmediate } from 'node:timers/promises';
import type { RequestHandler } from 'express';
import type { WebDeps } from '../deps.ts';
import { clusterFamilies } from './cluster.ts';
import { expose, gauge, type Family } from './exposition.ts';
import type { HttpFigures } from './http-figures.ts';
import { instanceFamilies } from './instances.ts';
import { createProcessFigures } from './process.ts';

const contentType = 'text/plain; version=0.0.4; charset=utf-8';

/** `?only=portal`: of this process alone, `?only=cloud`: of the cloud alone, when several portals are asked. */
export function showMetrics(deps: WebDeps, http: HttpFigures): RequestHandler {
  const token = deps.config.metricsToken;
  if (token === undefined) return (_req, _res, next) => next();
  const processFamilies = createProcessFigures();
  const load = shared(() => loadCloud(deps));
  return async (req, res) => {
    if (!isToken(req.headers.authorization, token)) {
      res.status(401).set('WWW-Authenticate', 'Bearer').type('text').send('a token is needed\n');
      return;
    }
    const { only } = req.query;
    const cloud = only === 'portal' ? [] : await load();
    const own = only === 'cloud' ? [] : [...processFamilies(), ...http.families()];
    res.set('Content-Type', contentType);
    await pipeline(Readable.from(paced(expose([...cloud, ...own]))), res).catch((error: unknown) => {
      // who asked has gone
      if (!res.destroyed) throw error;
    });
  };
}

async function loadCloud(deps: WebDeps): Promise<Family[]> {
  const startedAt = performance.now();
  const families = [...(await clusterFamilies(deps)), ...(deps.config.metricsInstances ? await instanceFamilies(deps) : [])];
  return [...families, gauge('cloud_metrics_load_seconds', 'How long the figures of the cloud took to read.', [['', (performance.now() - startedAt) / 1000]])];
}

/** Who asks while somebody's answer is being read is given the same one: many at once cost as one. */
function shared<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => (running ??= work().finally(() => (running = undefined)));
}

/** Other requests are answered between two pieces. */
async function* paced(pieces: Iterable<string>): AsyncGenerator<string> {
  for (const piece of pieces) {
    yield piece;
    await setImmediate();
  }
}

/** Compared as hashes of one length, so that the time it takes tells nothing. */
function isToken(authorization: string | undefined, token: string): boolean {
  const shown = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? '';
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(shown), digest(token));
}
