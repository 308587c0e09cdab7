// Passwords: bcrypt, as slow as this machine makes it bearable. The cost is measured once per process; a hash made with a
// lower one is replaced at the next login.
import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import bcrypt from 'bcrypt';
import { AppError, say, type Sentence } from './errors.ts';

/** One hash takes at least this. Shorter helps who stole the table; longer helps who floods the login. */
const targetMs = 200;
const lowestCost = 10;
const highestCost = 15;
const minCharacters = 10;
/** bcrypt reads no further: what came after would not count, and two passwords would be one. */
const maxBytes = 72;

/** What is wrong with a new password, for its field; undefined: nothing. */
export function passwordComplaint(password: string, userName: string): Sentence | undefined {
  const text = normalize(password);
  if ([...text].length < minCharacters) return say('account.password-too-short', { min: minCharacters });
  const bytes = Buffer.byteLength(text);
  if (bytes > maxBytes) return say('account.password-too-long', { max: maxBytes, bytes });
  // bcrypt's C heritage: nothing after a NUL counts
  if (text.includes('\0')) return say('account.password-has-nul');
  if (text.toLowerCase() === userName.toLowerCase() || new Set(text).size < 4) return say('account.password-too-plain');
  return undefined;
}

// one keyboard composes é, another sends e and an accent: both must log in
function normalize(password: string): string {
  return password.normalize('NFKC');
}

let measuredCost: number | undefined;

/** The cost in force here, 10 to 15. Measured at the first call (some 60 ms): processes that log people in ask at their start. */
export function passwordCost(): number {
  measuredCost ??= measureCost();
  return measuredCost;
}

/** Takes the lowest cost instead of measuring, for processes that hash for hundreds of people who do not exist. */
export function useLowestPasswordCost(): void {
  measuredCost = lowestCost;
}

// CPU time, not the clock on the wall: on a busy machine the clock would choose a cost that is too low for a calm one.
function measureCost(): number {
  const probeCost = 8;
  const salt = bcrypt.genSaltSync(probeCost);
  let probeMs = Infinity;
  for (let i = 0; i < 4; i++) {
    const before = process.cpuUsage();
    bcrypt.hashSync('measuring', salt);
    const used = process.cpuUsage(before);
    probeMs = Math.min(probeMs, (used.user + used.system) / 1000);
  }
  // each step of the cost doubles the time
  const cost = probeCost + Math.ceil(Math.log2(targetMs / probeMs));
  return Math.min(highestCost, Math.max(lowestCost, cost));
}

/** Throws AppError invalid (field `password`) for one that may not be used. */
export async function hashPassword(password: string, userName: string): Promise<string> {
  const complaint = passwordComplaint(password, userName);
  if (complaint !== undefined) throw new AppError('invalid', complaint, { fields: { password: complaint } });
  return limited(() => bcrypt.hash(normalize(password), passwordCost()));
}

/** For an account whose owner has yet to choose a password: nobody knows this one. */
export function randomPasswordHash(): Promise<string> {
  return limited(() => bcrypt.hash(randomBytes(32).toString('base64'), passwordCost()));
}

let dummyHash: Promise<string> | undefined;

async function makeDummyHash(): Promise<string> {
  try {
    return await randomPasswordHash();
  } catch (error) {
    // the next one tries again
    dummyHash = undefined;
    throw error;
  }
}

/**
 * Whether it is the password. Without a hash (no such user) the work of one made here is done and the answer is no; so it is for a
 * password that could never have been set. One that was made elsewhere may take another time, which the caller has to hide. Throws
 * AppError too-many when more wait than can be served.
 */
export async function isPassword(password: string, hash: string | undefined): Promise<boolean> {
  const dummy = await (dummyHash ??= makeDummyHash());
  const text = normalize(password);
  const couldBe = Buffer.byteLength(text) <= maxBytes && !text.includes('\0');
  const matches = await limited(() => bcrypt.compare(couldBe ? text : '', hash ?? dummy));
  return matches && couldBe && hash !== undefined;
}

/** Made when machines were slower. */
export function needsRehash(hash: string): boolean {
  return bcrypt.getRounds(hash) < passwordCost();
}

// bcrypt works on libuv's four threads, which files and DNS need too: half of the cores at most, and two of the threads.
const atOnce = Math.max(1, Math.min(2, Math.floor(availableParallelism() / 2)));
/** Waiting longer than some 10 s helps nobody. */
const maxWaiting = 50;
let running = 0;
const waiting: (() => void)[] = [];

async function limited<T>(work: () => Promise<T>): Promise<T> {
  if (running >= atOnce) {
    if (waiting.length >= maxWaiting) throw new AppError('too-many', say('session.too-busy'), { retryAfterSeconds: 10 });
    await new Promise<void>((resolve) => waiting.push(resolve));
  } else {
    running++;
  }
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    // the place is handed on, so that nobody slips in between
    if (next === undefined) running--;
    else next();
  }
}
