// Posting to a webhook: the only place that opens HTTP connections to elsewhere. Signed as the Standard Webhooks specification
// says (https://www.standardwebhooks.com), for which receivers find libraries in every language. Redirects are not followed: they
// would carry the body to where no administrator sent it; of the answer only its status is looked at.
import { createHmac, randomBytes } from 'node:crypto';
import { AppError, say } from '../errors.ts';
import { createSecretBox, type SecretBox } from '../fencing/secret-box.ts';

/** Longer: one dead receiver holds up the others of its round; shorter: slow ones get everything twice. */
const timeoutMs = 10_000;
const secretPrefix = 'whsec_';

export function createWebhookSecrets(sessionSecret: string): SecretBox {
  return createSecretBox(sessionSecret, { name: 'webhooks', lost: say('alerts.secret-lost') });
}

/** 256 bits, in the form in which libraries of receivers take them. */
export function newWebhookSecret(): string {
  return `${secretPrefix}${randomBytes(32).toString('base64')}`;
}

export interface WebhookMessage { /** the same for every attempt at one delivery */ readonly id: string; readonly body: string }

/** `webhook-signature`: over id, time and body, so that neither can be changed, nor an old one be sent again unnoticed. */
export function signWebhook(secret: string, { id, body }: WebhookMessage, timestamp: number): string {
  const key = Buffer.from(secret.slice(secretPrefix.length), 'base64');
  return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
}

/** Resolves when the receiver took it (2xx). Throws AppError with words for the history of deliveries. */
export async function postWebhook(target: { readonly url: string; readonly secret: string }, message: WebhookMessage, now: number, limits: { readonly timeoutMs: number } = { timeoutMs }): Promise<void> {
  const timestamp = Math.floor(now / 1000);
  const response = await fetch(target.url, {
    method: 'POST', redirect: 'manual', signal: AbortSignal.timeout(limits.timeoutMs), body: message.body,
    headers: {
      'content-type': 'application/json', 'user-agent': 'cloud-at-hpc', 'webhook-id': message.id, 'webhook-timestamp': String(timestamp),
      'webhook-signature': signWebhook(target.secret, message, timestamp),
    },
  }).catch((cause: unknown) => {
    throw new AppError('host-unavailable', say('alerts.delivery.no-answer', { reason: networkReason(cause) }), { cause });
  });
  await response.body?.cancel().catch(() => undefined);
  if (response.status >= 300 && response.status < 400) throw new AppError('host-unavailable', say('alerts.delivery.redirected', { status: response.status }));
  if (!response.ok) throw new AppError('host-unavailable', say('alerts.delivery.refused', { status: response.status }));
}

/** In this order: a timeout of the connection names the socket too. */
const reasons: readonly (readonly [RegExp, string])[] = [
  [/ECONNREFUSED/, 'refused'],
  [/ENOTFOUND|EAI_AGAIN|EDNS/, 'unknown-name'],
  [/TimeoutError|TIMEDOUT|_TIMEOUT/, 'timed-out'],
  [/EHOSTUNREACH|ENETUNREACH|EHOSTDOWN/, 'unreachable'],
  [/bad port/, 'bad-port'],
  [/ALTNAME_INVALID/, 'certificate-name'],
  [/CERT_HAS_EXPIRED|certificate has expired/, 'certificate-expired'],
  [/SELF_SIGNED|UNABLE_TO_|self.signed certificate|unable to (?:verify|get)/i, 'certificate-untrusted'],
  [/wrong.version.number|packet length too long|EPROTO/i, 'not-tls'],
  [/ECONNRESET|EPIPE|UND_ERR_SOCKET/, 'cut-off'],
  [/SMTP_URL is not set/, 'no-mail-server'],
];

/** Why a connection failed: common reasons as `$key` for the reader's language, others in the system's own words. A mail server's answer is always its own. */
export function networkReason(error: unknown): string {
  if (!(error instanceof Error)) return String(error).slice(0, 200);
  // undici's own words are "fetch failed"; what happened is its cause
  const happened = error.cause instanceof Error ? error.cause : error;
  const code = 'code' in happened ? String(happened.code) : '';
  const kind = 'responseCode' in error ? undefined : reasons.find(([pattern]) => pattern.test(`${happened.name} ${code} ${happened.message}`))?.[1];
  return kind === undefined ? (happened.message || code || error.message).slice(0, 200) : `$alerts.delivery.reason.${kind}`;
}
