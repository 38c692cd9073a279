// Every crate that we build on has a licence that we may ship under; deny.toml says the same to cargo-deny.
//
// A licence expression (SPDX) holds when the allow-list satisfies it: `OR` is a choice, `AND` is both. A crate without one
// fails, and so does an expression that this reader does not understand.
import { execFileSync } from 'node:child_process';

const ALLOWED = new Set([
  '0BSD', 'Apache-2.0', 'Apache-2.0 WITH LLVM-exception', 'BSD-1-Clause', 'BSD-2-Clause', 'BSD-3-Clause', 'BSL-1.0',
  'CDLA-Permissive-2.0', 'ISC', 'MIT', 'Unicode-3.0', 'Unlicense', 'Zlib',
]);
const METADATA_BYTES_MAX = 64 * 1024 * 1024;

// An older way to write OR.
const words = (text) => text.replaceAll('/', ' OR ').replaceAll('(', ' ( ').replaceAll(')', ' ) ').trim().split(/\s+/);

/** Whether the allow-list satisfies an expression. */
export function isAllowed(expression) {
  const left = words(expression);
  const one = () => {
    const word = left.shift();
    if (word === '(') {
      const inner = either();
      if (left.shift() !== ')') throw new Error(`unbalanced: ${expression}`);
      return inner;
    }
    if (!word || ['AND', 'OR', 'WITH', ')'].includes(word)) throw new Error(`not understood: ${expression}`);
    if (left[0] !== 'WITH') return ALLOWED.has(word);
    left.shift();
    return ALLOWED.has(`${word} WITH ${left.shift()}`);
  };
  const both = () => {
    let holds = one();
    while (left[0] === 'AND') holds = (left.shift(), one()) && holds;
    return holds;
  };
  const either = () => {
    let holds = both();
    while (left[0] === 'OR') holds = (left.shift(), both()) || holds;
    return holds;
  };
  const holds = either();
  if (left.length > 0) throw new Error(`not understood: ${expression}`);
  return holds;
}

// The reader is right about what it reads, before it is believed about anything else.
const READINGS = [
  ['MIT', true], ['GPL-3.0-only', false], ['GPL-3.0-only OR MIT', true], ['MIT AND GPL-3.0-only', false],
  ['(MIT OR GPL-2.0-only) AND Unicode-3.0', true], ['MIT/Apache-2.0', true],
  ['Apache-2.0 WITH LLVM-exception OR GPL-2.0-only', true], ['GPL-2.0-only WITH Classpath-exception-2.0', false],
  ['MIT AND GPL-2.0-only OR ISC', true],
];
for (const [expression, expected] of READINGS) {
  if (isAllowed(expression) !== expected) throw new Error(`this check reads ${expression} wrongly`);
}

const metadata = JSON.parse(
  execFileSync('cargo', ['metadata', '--format-version', '1', '--locked'], {
    encoding: 'utf8',
    maxBuffer: METADATA_BYTES_MAX,
    stdio: ['ignore', 'pipe', 'inherit'],
  }),
);
const broken = [];
for (const { name, version, license } of metadata.packages) {
  try {
    if (license && isAllowed(license)) continue;
    broken.push(`${name} ${version} is under ${license ?? 'no stated licence'}: do without it, or allow its licence here and in deny.toml`);
  } catch (error) {
    broken.push(`${name} ${version}: ${error.message}`);
  }
}
for (const line of broken) console.error(line);
if (broken.length > 0) process.exit(1);
console.log(`${metadata.packages.length} crates have a licence that is allowed`);
