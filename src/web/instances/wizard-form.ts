// What the wizard's pages send. Everything chosen travels in the form itself, so that nothing is kept on the server for a
// wizard that is never finished, and so that two windows do not mix.
import { z } from 'zod';
import { say } from '../../errors.ts';
import { instanceNamePattern } from '../../model/instance.ts';
import { sizeKeys, type Size } from '../../model/size.ts';
import { complain, id, number, text } from '../forms.ts';
import { optionFields, optionsShape } from './options-form.ts';

/** Fields of both pages, as typed. */
export const draftFields = ['instanceId', 'name', 'imageId', 'vcpus', 'memoryMib', 'diskGib', ...optionFields, 'sshKey', 'userData'] as const;
export type DraftText = Record<(typeof draftFields)[number], string>;

// far above every cap: caps and quotas are the admission rule's, which says by how much and what would fit
const most = 10_000_000;

/** Page 1. */
export const sizeForm = z.object({
  instanceId: id(),
  name: text({ min: 1, max: 32, pattern: { test: instanceNamePattern, sentence: say('instances.new.bad-name') } }),
  imageId: id(),
  vcpus: number({ min: 1, max: most }),
  memoryMib: number({ min: 1, max: most }),
  diskGib: number({ min: 1, max: most }),
  ...optionsShape,
});

const sshKeyLine = /^(?:ssh-(?:rsa|ed25519)|ecdsa-sha2-nistp(?:256|384|521)|sk-(?:ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com) [A-Za-z0-9+/]{30,}={0,3}(?: [\x20-\x7e]*)?$/;
const userDataStart = /^(?:#cloud-config|#!|#include|#cloud-boothook|#part-handler|## template: ?jinja|Content-Type: ?multipart\/|MIME-Version:)/i;
const maxUserDataBytes = 16_000;

/** Page 2 adds what the guest is told at its first boot. */
export const reviewForm = sizeForm.extend({
  sshKey: text({ max: 4000, lines: true }).transform((keys, context) => {
    const lines = keys.split('\n').map((line) => line.trim()).filter((line) => line !== '');
    if (!lines.every((line) => sshKeyLine.test(line))) complain(context, say('instances.new.bad-ssh-key'));
    return lines.join('\n');
  }),
  userData: text({ max: maxUserDataBytes, lines: true }).transform((data, context) => {
    if (data !== '' && !userDataStart.test(data)) complain(context, say('instances.new.bad-user-data'));
    else if (Buffer.byteLength(data) > maxUserDataBytes) complain(context, say('form.too-long', { max: maxUserDataBytes }));
    return data;
  }),
});

/** What was typed, each field there; a new wizard gets the id of its instance, so that sending the last page twice makes one. */
export function draftText(typed: Readonly<Record<string, string>>, newId: () => string): DraftText {
  const draft = Object.fromEntries(draftFields.map((name) => [name, typed[name] ?? (name === 'haPriority' ? '1' : '')])) as DraftText;
  return draft.instanceId === '' ? { ...draft, instanceId: newId() } : draft;
}

/** The size in a draft; NaN where it is no whole number. */
export function sizeOf(draft: Readonly<Record<string, string | undefined>>): Size {
  const [vcpus = Number.NaN, memoryMib = Number.NaN, diskGib = Number.NaN] = sizeKeys.map((key) => (/^\s*\d{1,8}\s*$/.test(draft[key] ?? '') ? Number(draft[key]) : Number.NaN));
  return { vcpus, memoryMib, diskGib };
}

/** The group in a draft; null where there is none, or none yet that could be one. */
export function groupOf(draft: Readonly<Record<string, string | undefined>>): string | null {
  const parsed = optionsShape.antiAffinity.safeParse(draft['antiAffinity']);
  return parsed.success ? parsed.data : null;
}

/** The draft with this size in it. */
export function withSize(draft: DraftText, size: Size): DraftText {
  return { ...draft, vcpus: String(size.vcpus), memoryMib: String(size.memoryMib), diskGib: String(size.diskGib) };
}

/** "2,2048,20": the value of a button that sets all three. */
export function sizeInButton(value: string | undefined): Size | undefined {
  const match = /^(\d{1,8}),(\d{1,8}),(\d{1,8})$/.exec(value ?? '');
  return match === null ? undefined : { vcpus: Number(match[1]), memoryMib: Number(match[2]), diskGib: Number(match[3]) };
}
