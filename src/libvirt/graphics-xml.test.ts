import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readVncGraphics, vncPasswordXml } from './graphics-xml.ts';

const running = `<domain type='kvm' id='3'><name>x</name><devices>
  <graphics type='spice' port='5901'/>
  <graphics type='vnc' port='5900' autoport='yes' listen='0.0.0.0' keymap='en-us' sharePolicy='allow-exclusive'>
    <listen type='address' address='0.0.0.0'/>
  </graphics></devices></domain>`;

describe('the VNC screen in a domain XML', () => {
  it('is found beside other screens', () => {
    assert.equal(readVncGraphics(running)?.port, 5900);
  });

  it('has no port while the domain is off', () => {
    assert.equal(readVncGraphics(`<domain><devices><graphics type='vnc' port='-1' autoport='yes'/></devices></domain>`)?.port, null);
  });

  for (const xml of ['<domain/>', '<domain><devices/></domain>', `<domain><devices><graphics type='spice' port='1'/></devices></domain>`, '<other/>']) {
    it(`is absent from ${xml}`, () => assert.equal(readVncGraphics(xml), undefined));
  }

  it('is given back as it was, with the password and its end', () => {
    const graphics = readVncGraphics(running);
    assert.ok(graphics);
    assert.equal(
      vncPasswordXml(graphics, 'a&<"b\'>', Date.UTC(2026, 10, 22, 5, 6, 7, 890)),
      '<graphics type="vnc" port="5900" autoport="yes" listen="0.0.0.0" keymap="en-us" sharePolicy="allow-exclusive" passwd="a&amp;&lt;&quot;b\'&gt;" passwdValidTo="2026-11-22T05:06:07"><listen type="address" address="0.0.0.0"/></graphics>',
    );
  });

  it('gets a new password in place of an old one', () => {
    const graphics = readVncGraphics(`<domain><devices><graphics type='vnc' port='5900' passwd='old' passwdValidTo='1970-01-01T00:00:01'/></devices></domain>`);
    assert.ok(graphics);
    assert.equal(vncPasswordXml(graphics, 'new', Date.UTC(2030, 0, 1)), '<graphics type="vnc" port="5900" passwd="new" passwdValidTo="2030-01-01T00:00:00"/>');
  });
});
