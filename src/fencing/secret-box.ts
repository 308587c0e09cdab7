// Secrets at rest (passwords of fence agents, keys of webhooks): AES-256-GCM with a key made from the session secret. A row that
// was copied to another owner, or changed, does not open; neither does any after the session secret was changed: then they are
// typed or made again.
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { AppError, say, type Sentence } from '../errors.ts';

export type Secrets = Readonly<Record<string, string>>;

export interface SecretBox {
  /** `owner`: the id of the host or target that it belongs to */
  seal(owner: string, secrets: Secrets): Buffer;
  /** Throws conflict, saying what to do, when it was sealed with another key or for another owner. */
  open(owner: string, sealed: Buffer): Secrets;
}

const version = 1;
const ivBytes = 12;
const tagBytes = 16;

/** What one box is for: none opens what another has sealed. */
export interface SecretPurpose { readonly name: string; /** why it does not open, and what to do */ readonly lost: Sentence }
const fenceAgents: SecretPurpose = { name: 'fence agents of hosts', lost: say('fencing.secret-lost') };

export function createSecretBox(sessionSecret: string, purpose = fenceAgents): SecretBox {
  const key = Buffer.from(hkdfSync('sha256', sessionSecret, '', purpose.name, 32));
  return {
    seal(owner, secrets) {
      const iv = randomBytes(ivBytes);
      const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(owner));
      const body = Buffer.concat([cipher.update(JSON.stringify(secrets), 'utf8'), cipher.final()]);
      return Buffer.concat([Buffer.from([version]), iv, cipher.getAuthTag(), body]);
    },
    open(owner, sealed) {
      try {
        if (sealed[0] !== version) throw new Error(`version ${sealed[0]}`);
        const iv = sealed.subarray(1, 1 + ivBytes);
        const tag = sealed.subarray(1 + ivBytes, 1 + ivBytes + tagBytes);
        const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: tagBytes }).setAAD(Buffer.from(owner)).setAuthTag(tag);
        return JSON.parse(Buffer.concat([decipher.update(sealed.subarray(1 + ivBytes + tagBytes)), decipher.final()]).toString('utf8')) as Secrets;
      } catch (cause) {
        throw new AppError('conflict', purpose.lost, { cause });
      }
    },
  };
}
