// No real secret stands in a tracked file: keys of the providers and clouds that such a project meets, private keys, and
// passwords in addresses of databases. Test values are told apart by what they say of themselves or by their shape, never
// by the file they stand in; one that cannot be is listed below, with its reason.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const PATTERNS = {
  'a Stripe key': /\b[rs]k_live_[0-9A-Za-z]{16,}/g,
  'a Stripe webhook secret': /\bwhsec_[0-9A-Za-z+/]{24,}={0,2}/g,
  'an AWS key': /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g,
  'a GitHub token': /\b(?:gh[oprsu]_[0-9A-Za-z]{36}|github_pat_[0-9A-Za-z_]{60,})/g,
  'a GitLab token': /\bglpat-[0-9A-Za-z_-]{20}/g,
  'a Slack token': /\bxox[abprs]-[0-9A-Za-z-]{10,}/g,
  'a Google key': /\bAIza[0-9A-Za-z_-]{35}/g,
  'a registry token': /\b(?:npm_[0-9A-Za-z]{36}|pypi-[0-9A-Za-z_-]{50,}|cio[0-9A-Za-z]{32})\b/g,
  'a model provider\'s key': /\bsk-(?:ant-|proj-)?[0-9A-Za-z_-]{32,}/g,
  'a Supabase or other JWT': /\beyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{20,}/g,
  'a private key': /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/g,
  'a password in an address': /\b(?:postgres(?:ql)?|rediss?|mysql|mongodb(?:\+srv)?|amqps?):\/\/[^\s:/@"'`<>{}$]*:[^\s@"'`<>{}$]{8,}@[^\s"'`]+/g,
};
// Machines on which a password opens nothing: loopback, names without a dot, names that are kept for examples.
const NOBODYS = /@(?:127\.0\.0\.1|\[::1\]|[a-z0-9-]+|[a-z0-9.-]*\.(?:example|invalid|test|internal)|(?:[a-z0-9-]+\.)*example\.(?:com|org|net))(?:[:\/?,]|$)/;
// What a value made for a test or a page of documentation says of itself.
const SAYS_SO = /test|demo|dev|example|sandbox|secret|password|changeme|placeholder|xxxx|\.\.\.|…|0123456789|abcdef|(.)\1{7}/i;
// Published by those whose examples they are, or sample values in tests, which open nothing.
const KNOWN = new Map([
  ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'the example of the Standard Webhooks specification'],
]);
const BYTES_MAX = 4 * 1024 * 1024;

/** What looks like a real secret in a text. */
export function findings(text) {
  const found = [];
  for (const [what, pattern] of Object.entries(PATTERNS)) {
    for (const { 0: value, index } of text.matchAll(pattern)) {
      if (KNOWN.has(value) || SAYS_SO.test(value) || NOBODYS.test(value)) continue;
      found.push({ what, line: text.slice(0, index).split('\n').length });
    }
  }
  return found;
}

// The search finds what it is for, before it is believed. Put together here, so that it does not find itself.
const join = (...parts) => parts.join('');
const REAL = [
  join('sk_', 'live_', '51H8qLkJd9sZx0pQwErTy'), join('AK', 'IA', 'J7Q2M5XN4K9WPL3R'), join('gh', 'p_', 'a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8'),
  join('-----BEGIN ', 'PRIVATE KEY-----'), join('postgres', '://app:', 'h7Gk29sLmQ', '@pool.supabase.co:6543/postgres'),
];
for (const value of REAL) {
  if (findings(value).length !== 1) throw new Error('this search misses what it is for; mend its patterns');
}

const broken = [];
const files = execFileSync('git', ['ls-files', '-z'], { encoding: 'utf8' }).split('\0').filter(Boolean);
for (const file of files) {
  const bytes = readFileSync(file);
  if (bytes.length > BYTES_MAX || bytes.subarray(0, 8000).includes(0)) continue;
  for (const { what, line } of findings(bytes.toString('utf8'))) {
    broken.push(`${file}:${line} looks like ${what}: take it out and revoke it, or give a test a value that says what it is`);
  }
}
for (const line of broken) console.error(line);
if (broken.length > 0) process.exit(1);
console.log(`${files.length} tracked files hold no secret`);
