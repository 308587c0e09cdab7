// The page of an opened console: the countdown, files for VNC viewers, and the screen in the browser, which follows the machine
// to another host. The password is read from the page and goes nowhere but into the RFB handshake and into files made here.
import { localTimes, post } from './app.js';

const root = document.getElementById('console');
// sentences in the reader's language stand in data-* attributes
const words = root.dataset;
/** What opens the screen now; another one when the machine has moved. */
let opened = { address: root.dataset.host, port: root.dataset.port, password: document.getElementById('console-password').textContent.trim() };

const opener = document.getElementById('screen-open');
opener.hidden = false;
let expired = false;
let timer;
countDown(Number(root.dataset.leftMs));
offerFiles();
opener.addEventListener('click', openScreen);

/** By the portal's clock: the reader's own may be wrong. */
function countDown(leftMs) {
  const output = document.getElementById('console-countdown');
  const endsAt = performance.now() + leftMs;
  showExpired(false);
  const show = () => {
    const seconds = Math.max(0, Math.round((endsAt - performance.now()) / 1000));
    output.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
    if (seconds > 0) return;
    clearInterval(timer);
    showExpired(true);
    // it would be refused; a screen that is open shows no opener anyway
    opener.hidden = true;
  };
  clearInterval(timer);
  timer = setInterval(show, 1000);
  show();
}

function showExpired(is) {
  expired = is;
  document.getElementById('console-expired').hidden = !is;
  for (const element of document.querySelectorAll('[data-while-valid]')) element.hidden = is;
}

async function offerFiles() {
  document.getElementById('console-files').hidden = false;
  const { DESECBCipher } = await import('/vendor/novnc/core/crypto/des.js');
  // the well-known key with which viewers scramble a saved password: no secrecy, only a format
  const key = new Uint8Array([23, 82, 107, 6, 35, 78, 88, 7]);
  const cipher = DESECBCipher.importKey(key, { name: 'DES-ECB' }, false, ['encrypt']);
  const scrambled = () => {
    const plain = new Uint8Array(8);
    plain.set(new TextEncoder().encode(opened.password).slice(0, 8));
    return [...cipher.encrypt({ name: 'DES-ECB' }, plain)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  };
  const files = {
    vnc: () => `[connection]\r\nhost=${opened.address}\r\nport=${opened.port}\r\npassword=${scrambled()}\r\n`,
    vv: () => `[virt-viewer]\ntype=vnc\nhost=${opened.address}\nport=${opened.port}\npassword=${opened.password}\ntitle=${root.dataset.name}\ndelete-this-file=1\n`,
  };
  for (const link of document.querySelectorAll('[data-file]')) {
    link.addEventListener('click', () => download(`${root.dataset.name}.${link.dataset.file}`, files[link.dataset.file]()));
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
const closeWords = { 4000: 'ended', 4010: 'ended', 4401: 'sessionOver', 4404: 'gone', 4408: 'idle', 4503: 'unreachable' };
/** ends after which the machine may be found on another host */
const mayHaveMoved = ['ended', 'unreachable', 'disconnected'];
/** For the portal's answer, and then for the machine's screen. Shorter: a slow line is cut; longer: somebody waits for what says nothing. */
const connectWithinMs = 20_000;
// QEMU sends no H.264. noVNC asks the browser whether it could decode it before anything else, and some never answer
// (https://github.com/novnc/noVNC/pull/2053): the screen would never open.
delete window.VideoDecoder;
let rfb;
/** a screen is open here, or is to be open again */
let wanted = false;
/** the last picture, left standing while the machine is being followed */
let picture;

async function openScreen() {
  wanted = true;
  opener.hidden = true;
  frame.hidden = false;
  say('connecting');
  reasonOfClosing = undefined;
  // beside the ticket: these are some fifty files
  const asked = Promise.all([post(root.dataset.ticketPath).then(answerOf), import('/vendor/novnc/core/rfb.js')]);
  const answer = await Promise.race([asked, pause(connectWithinMs)]).then((all) => all?.[0], (error) => console.error(error));
  if (answer?.ticket === undefined) ended(answer === undefined ? words.disconnected : answer.error ?? words.refused);
  else await connect(answer.ticket);
}

/** What it says; {}: refused without a word. Rejects when only half of an answer came. */
const answerOf = (response) => (response.ok ? response.json() : response.json().catch(() => ({})));

async function connect(ticket) {
  const { default: RFB } = await import('/vendor/novnc/core/rfb.js');
  const url = new URL(root.dataset.socketPath, location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = new WebSocket(url, ['binary', `ticket.${ticket}`]);
  let reason = 'refused';
  socket.addEventListener('open', () => { reason = 'disconnected'; });
  socket.addEventListener('close', (event) => { reason = closeWords[event.code] ?? reason; });
  const before = rfb;
  screen.hidden = false;
  tools.hidden = false;
  const mine = rfb = new RFB(screen, socket, { credentials: { password: opened.password }, shared: true });
  // the page holds one screen: the machine's place before the move, if it still stands there, is worth nothing
  before?.disconnect();
  rfb.scaleViewport = true;
  rfb.background = 'transparent';
  rfb.focusOnClick = true;
  const connecting = setTimeout(() => {
    reason = 'unreachable';
    mine.disconnect();
  }, connectWithinMs);
  rfb.addEventListener('connect', () => {
    clearTimeout(connecting);
    for (const still of screen.querySelectorAll('.screen-still')) still.remove();
    const again = picture !== undefined;
    picture = screen.querySelector('canvas');
    sharedTries = 3;
    say('connected');
    // opened: come to it; followed to another host: stay where the reader is
    mine.focus({ preventScroll: again });
  });
  rfb.addEventListener('securityfailure', () => { reason = 'wrongPassword'; });
  rfb.addEventListener('disconnect', () => {
    clearTimeout(connecting);
    setTimeout(() => { if (rfb === mine) closed(reason); }, 0);
  });
}

function closed(reason) {
  rfb = undefined;
  if (wanted && mayHaveMoved.includes(reason)) follow(reason);
  else if (wanted && reason === 'wrongPassword' && sharedTries < 3) retryShared();
  else ended(words[reason]);
}

function say(word) {
  status.textContent = words[word];
}

function ended(text) {
  wanted = false;
  picture = undefined;
  status.textContent = text;
  screen.replaceChildren();
  screen.hidden = true;
  tools.hidden = true;
  pasteForm.hidden = true;
  opener.hidden = expired;
  opener.querySelector('[data-label]').textContent = words.reconnect;
}

// ── when the machine moves to another host ──────────────────────────────────────────────────────────────────────────

/** Between two looks for where it is, growing: shorter is felt by the portal, longer by who works at the screen. */
const lookMs = [200, 1500];
/** For that long a portal or host that does not answer is asked again. */
const patienceMs = 30_000;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
let following = false;
let reasonOfClosing;

/** After the screen has closed, or the machine was seen elsewhere. */
async function follow(reason) {
  if (reason !== undefined) {
    reasonOfClosing = reason;
    if (picture) {
      picture.classList.add('screen-still');
      screen.replaceChildren(picture);
    }
    say('following');
  }
  if (following) return;
  following = true;
  const fresh = await seek();
  following = false;
  if (fresh !== undefined) {
    present(fresh);
    sharedTries = 0;
    if (wanted) await connect(fresh.ticket);
  } else if (wanted && rfb === undefined && reasonOfClosing !== undefined) ended(words[reasonOfClosing]);
}

/** Waits for a move to end, and opens the screen at its new place; undefined: it has not moved, or has no screen any more. */
async function seek() {
  let wait = lookMs[0];
  for (let until = performance.now() + patienceMs; performance.now() < until; await pause(wait)) {
    wait = Math.min(lookMs[1], wait * 1.15);
    const place = await look();
    if (place === undefined) continue;
    const elsewhere = place.address !== null && !isShown(place);
    if (elsewhere) {
      const response = await post(root.dataset.placePath).catch(() => undefined);
      const fresh = response?.ok ? await response.json().catch(() => undefined) : undefined;
      if (fresh !== undefined) return fresh;
      if ([401, 403, 404].includes(response?.status)) return undefined;
      await pause(500);
    } else if (place.moving) until = performance.now() + patienceMs;
    else return undefined;
  }
  return undefined;
}

function look() {
  return fetch(root.dataset.placePath, { headers: { accept: 'application/json' } })
    .then((response) => (response.ok && !response.redirected ? response.json() : undefined))
    .catch(() => undefined);
}

const isShown = ({ host, address }) => host === root.dataset.hostName && address === root.dataset.hostPort;

/** Tries left out of three: whoever else looks at this screen follows it too, and each new password ends the one before. */
let sharedTries = 3;

async function retryShared() {
  sharedTries++;
  await pause(Math.random() * 1500);
  const fresh = await post(root.dataset.placePath).then((response) => (response.ok ? response.json() : undefined)).catch(() => undefined);
  if (fresh === undefined) return ended(words.wrongPassword);
  present(fresh);
  await connect(fresh.ticket);
}

/** The new address and password, in place of those that are worth nothing any more. */
function present(fresh) {
  opened = fresh;
  root.dataset.hostName = fresh.host;
  root.dataset.hostPort = fresh.hostPort;
  document.getElementById('console-address').textContent = fresh.hostPort;
  document.getElementById('console-password').textContent = fresh.password;
  const until = document.querySelector('#console-until time');
  until.dateTime = fresh.expiresAt;
  until.textContent = fresh.expiresAt;
  until.dataset.local = '';
  localTimes(until.parentElement);
  document.getElementById('console-moved').hidden = false;
  countDown(fresh.leftMs);
  opener.hidden = wanted;
}

// a VNC viewer's user has no screen here that could close: the page hears of the move with the other figures
document.addEventListener('live:row', ({ detail: { key, cells } }) => {
  if (key !== root.dataset.live || cells === undefined || cells.console === '–' || isShown({ host: cells.host, address: cells.console })) return;
  if (wanted || !expired) follow();
  // nobody waits for it: a new password is made when somebody asks for one
  else location.assign(root.dataset.consolePath);
});

const on = (id, act) => document.getElementById(id).addEventListener('click', act);
on('screen-cad', () => { rfb?.sendCtrlAltDel(); rfb?.focus(); });
on('screen-close', () => { wanted = false; rfb?.disconnect(); });
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
