// The page of an opened console: the countdown, files for VNC viewers, and the screen in the browser. The password is read
// from the page and goes nowhere but into the RFB handshake and into files made here.
import { post } from './app.js';

const root = document.getElementById('console');
// sentences in the reader's language stand in data-* attributes
const words = root.dataset;
const password = document.getElementById('console-password').textContent.trim();
const [host, port] = [root.dataset.host, root.dataset.port];

const opener = document.getElementById('screen-open');
opener.hidden = false;
let expired = false;
countDown();
offerFiles();
opener.addEventListener('click', openScreen);

/** By the portal's clock: the reader's own may be wrong. */
function countDown() {
  const output = document.getElementById('console-countdown');
  const endsAt = performance.now() + Number(root.dataset.leftMs);
  const show = () => {
    const seconds = Math.max(0, Math.round((endsAt - performance.now()) / 1000));
    output.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
    if (seconds > 0) return;
    clearInterval(timer);
    document.getElementById('console-expired').hidden = false;
    for (const element of document.querySelectorAll('[data-while-valid]')) element.hidden = true;
    // it would be refused; a screen that is open shows no opener anyway
    expired = true;
    opener.hidden = true;
  };
  const timer = setInterval(show, 1000);
  show();
}

async function offerFiles() {
  document.getElementById('console-files').hidden = false;
  const { DESECBCipher } = await import('/vendor/novnc/core/crypto/des.js');
  // the well-known key with which viewers scramble a saved password: no secrecy, only a format
  const key = new Uint8Array([23, 82, 107, 6, 35, 78, 88, 7]);
  const cipher = DESECBCipher.importKey(key, { name: 'DES-ECB' }, false, ['encrypt']);
  const plain = new Uint8Array(8);
  plain.set(new TextEncoder().encode(password).slice(0, 8));
  const hex = [...cipher.encrypt({ name: 'DES-ECB' }, plain)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  const files = {
    vnc: `[connection]\r\nhost=${host}\r\nport=${port}\r\npassword=${hex}\r\n`,
    vv: `[virt-viewer]\ntype=vnc\nhost=${host}\nport=${port}\npassword=${password}\ntitle=${root.dataset.name}\ndelete-this-file=1\n`,
  };
  for (const link of document.querySelectorAll('[data-file]')) {
    link.addEventListener('click', () => download(`${root.dataset.name}.${link.dataset.file}`, files[link.dataset.file]));
  }
}

function download(name, text) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'application/octet-stream' }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// ── the screen in the browser ───────────────────────────────────────────────────────────────────────────────────────

const frame = document.getElementById('screen-frame');
const screen = document.getElementById('screen');
const tools = document.getElementById('screen-tools');
const pasteForm = document.getElementById('screen-paste-form');
const status = document.getElementById('screen-status');
const closeWords = { 4000: 'ended', 4401: 'sessionOver', 4404: 'gone', 4408: 'idle', 4503: 'unreachable' };
let rfb;

async function openScreen() {
  opener.hidden = true;
  frame.hidden = false;
  say('connecting');
  const [{ default: RFB }, response] = await Promise.all([import('/vendor/novnc/core/rfb.js'), post(root.dataset.ticketPath)]);
  if (!response.ok) {
    const { error } = await response.json().catch(() => ({}));
    return ended(error ?? words.refused);
  }
  const { ticket } = await response.json();
  const url = new URL(root.dataset.socketPath, location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = new WebSocket(url, ['binary', `ticket.${ticket}`]);
  let reason = 'refused';
  socket.addEventListener('open', () => { reason = 'disconnected'; });
  socket.addEventListener('close', (event) => { reason = closeWords[event.code] ?? reason; });
  screen.replaceChildren();
  screen.hidden = false;
  tools.hidden = false;
  rfb = new RFB(screen, socket, { credentials: { password }, shared: true });
  rfb.scaleViewport = true;
  rfb.background = 'transparent';
  rfb.focusOnClick = true;
  rfb.addEventListener('connect', () => { say('connected'); rfb.focus(); });
  rfb.addEventListener('securityfailure', () => { reason = 'wrongPassword'; });
  rfb.addEventListener('disconnect', () => setTimeout(() => ended(words[reason]), 0));
}

function say(word) {
  status.textContent = words[word];
}

function ended(text) {
  rfb = undefined;
  status.textContent = text;
  screen.replaceChildren();
  screen.hidden = true;
  tools.hidden = true;
  pasteForm.hidden = true;
  opener.hidden = expired;
  opener.querySelector('[data-label]').textContent = words.reconnect;
}

const on = (id, act) => document.getElementById(id).addEventListener('click', act);
on('screen-cad', () => { rfb?.sendCtrlAltDel(); rfb?.focus(); });
on('screen-close', () => rfb?.disconnect());
on('screen-full', () => (document.fullscreenElement ? document.exitFullscreen() : frame.requestFullscreen()));

// phones show their keyboard only for a field: keys typed into this one are sent on
const keyboard = document.getElementById('screen-keyboard-input');
on('screen-keyboard', () => keyboard.focus());
keyboard.addEventListener('input', () => { typeText(keyboard.value); keyboard.value = ''; });
keyboard.addEventListener('keydown', (event) => {
  const keysym = { Enter: 0xff0d, Backspace: 0xff08, Tab: 0xff09, Escape: 0xff1b, ArrowLeft: 0xff51, ArrowUp: 0xff52, ArrowRight: 0xff53, ArrowDown: 0xff54 }[event.key];
  if (keysym === undefined) return;
  event.preventDefault();
  rfb?.sendKey(keysym, event.code);
});

on('screen-paste', () => { pasteForm.hidden = !pasteForm.hidden; });
pasteForm.addEventListener('submit', (event) => {
  event.preventDefault();
  event.stopPropagation();
  const box = document.getElementById('screen-paste-text');
  typeText(box.value);
  box.value = '';
  event.target.hidden = true;
  rfb?.focus();
});

// Keys of an English keyboard by their place: what QEMU passes on are places, not characters.
const shifted = { '!': 'Digit1', '@': 'Digit2', '#': 'Digit3', $: 'Digit4', '%': 'Digit5', '^': 'Digit6', '&': 'Digit7', '*': 'Digit8', '(': 'Digit9', ')': 'Digit0', _: 'Minus', '+': 'Equal', '{': 'BracketLeft', '}': 'BracketRight', '|': 'Backslash', ':': 'Semicolon', '"': 'Quote', '<': 'Comma', '>': 'Period', '?': 'Slash', '~': 'Backquote' };
const plain = { '-': 'Minus', '=': 'Equal', '[': 'BracketLeft', ']': 'BracketRight', '\\': 'Backslash', ';': 'Semicolon', "'": 'Quote', ',': 'Comma', '.': 'Period', '/': 'Slash', '`': 'Backquote', ' ': 'Space' };

function codeOf(character) {
  if (/[a-zA-Z]/.test(character)) return `Key${character.toUpperCase()}`;
  if (/[0-9]/.test(character)) return `Digit${character}`;
  return plain[character] ?? shifted[character];
}

/** Presses the keys one by one; a guest whose keyboard is polled slowly loses keys that come faster. */
async function typeText(text) {
  for (const character of text.replace(/\r\n?/g, '\n')) {
    if (!rfb) return;
    if (character === '\n') rfb.sendKey(0xff0d, 'Enter');
    else if (character === '\t') rfb.sendKey(0xff09, 'Tab');
    else {
      const code = codeOf(character);
      const needsShift = /[A-Z]/.test(character) || character in shifted;
      const point = character.codePointAt(0);
      if (needsShift) rfb.sendKey(0xffe1, 'ShiftLeft', true);
      rfb.sendKey(point < 0x100 ? point : 0x01000000 | point, code ?? 'Unidentified');
      if (needsShift) rfb.sendKey(0xffe1, 'ShiftLeft', false);
    }
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
}
