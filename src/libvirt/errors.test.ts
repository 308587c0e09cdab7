import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../errors.ts';
import { HostUnavailableError, InvalidUriError, isExists, isNoDomain, isOperationInvalid, LibvirtError, toAppError } from './errors.ts';

const libvirt = (code: number, message = 'words') => new LibvirtError(code, 10, message, 'DOMAIN_X');

describe('what an error means', () => {
  const cases: [error: Error, kind: string, key: string][] = [
    [libvirt(42), 'not-found', 'hypervisor.not-found'],
    [libvirt(50), 'not-found', 'hypervisor.not-found'],
    [libvirt(55), 'conflict', 'hypervisor.not-now'],
    [libvirt(9, "operation failed: domain 'a' already exists with uuid b"), 'conflict', 'hypervisor.exists'],
    [libvirt(90), 'conflict', 'hypervisor.exists'],
    [libvirt(9, 'operation failed: something else'), 'host-unavailable', 'hypervisor.failed'],
    [libvirt(92), 'invalid', 'hypervisor.refused'],
    [libvirt(3), 'conflict', 'hypervisor.unsupported'],
    [libvirt(88), 'host-unavailable', 'hypervisor.access-denied'],
    [libvirt(68), 'host-unavailable', 'hypervisor.too-slow'],
    [libvirt(9999), 'host-unavailable', 'hypervisor.failed'],
    [new HostUnavailableError('gone'), 'host-unavailable', 'hypervisor.unavailable'],
    [new InvalidUriError('no'), 'invalid', 'hypervisor.invalid-uri'],
  ];
  for (const [error, kind, key] of cases) {
    it(`${error.name} ${error instanceof LibvirtError ? error.code : ''} “${error.message}” is ${kind}`, () => {
      const told = toAppError(error, 'host1');
      assert.ok(told instanceof AppError);
      assert.deepEqual([told.kind, told.sentence.key, told.cause], [kind, key, error]);
    });
  }

  it('leaves what is not ours as it is', () => {
    const bug = new TypeError('x');
    assert.equal(toAppError(bug, 'host1'), bug);
  });

  it('is told apart by predicates', () => {
    assert.deepEqual([isNoDomain(libvirt(42)), isNoDomain(libvirt(50)), isOperationInvalid(libvirt(55)), isExists(libvirt(90)), isExists(new Error('already exists'))], [true, false, true, true, false]);
  });
});
