// The real program as a process: `sessile dev` with a data folder of its own on a free port.
//
// What it logs goes to the tests' log folder; the secrets that it made are noted for the check that no log holds one.
// Standard output is kept in memory only, because the operator's token is printed there once.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, createWriteStream, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const repository = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const START_MS = 20_000;
const STOP_MS = 20_000;
const POLL_MS = 20;

/** Where logs, screenshots and the list of secrets go. */
export const output = resolve(process.env.SESSILE_TEST_OUTPUT ?? join(repository, 'test-output'));

/** Notes secrets that no log may hold. */
export function remember(...secrets) {
  mkdirSync(output, { recursive: true });
  appendFileSync(join(output, 'secrets.txt'), secrets.map((secret) => `${secret}\n`).join(''));
}

/** A program of this repository, built where it is not there yet. */
export function built(name, build) {
  const cargo = (...args) => execFileSync('cargo', args, { cwd: repository, encoding: 'utf8', maxBuffer: 1 << 26 });
  const target = JSON.parse(cargo('metadata', '--no-deps', '--format-version', '1')).target_directory;
  const path = join(target, 'debug', name);
  if (!existsSync(path)) cargo('build', ...build);
  return path;
}

const binary = () => process.env.SESSILE_BIN ?? built('sessile', ['-p', 'sessile-server', '--bin', 'sessile']);

/** A port that nobody listens on just now. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** A running `sessile dev`. */
export class Program {
  #binary = binary();
  #folder = mkdtempSync(join(tmpdir(), 'sessile-browser-'));
  #log;
  #child;
  #printed = '';
  #env;

  /** `name` names the log; `env` is added to an otherwise clean environment. */
  static async start(name, env = {}) {
    const program = new Program();
    program.#env = env;
    mkdirSync(join(output, 'logs'), { recursive: true });
    program.#log = createWriteStream(join(output, 'logs', `browser-${name}.log`));
    program.port = await freePort();
    program.url = `http://127.0.0.1:${program.port}`;
    await program.#launch();
    for (const file of ['session-secret', 'admin-token']) {
      remember(readFileSync(join(program.#folder, 'data', file), 'utf8').trim());
    }
    return program;
  }

  async #launch() {
    this.#printed = '';
    this.#child = spawn(this.#binary, ['dev'], {
      cwd: this.#folder,
      env: this.#settings(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stdout.setEncoding('utf8').on('data', (text) => { this.#printed += text; });
    this.#child.stderr.on('data', (text) => this.#log.write(text));
    const began = Date.now();
    while (!(this.#printed.includes(`open    ${this.url}`) && await this.#answers())) {
      if (this.#child.exitCode !== null) throw new Error(`sessile dev ended with ${this.#child.exitCode}; see its log`);
      if (Date.now() - began > START_MS) throw new Error(`sessile dev did not start within ${START_MS} ms`);
      await wait(POLL_MS);
    }
  }

  /** What the operator calls `/v1/admin/*` with. */
  get adminToken() {
    return readFileSync(join(this.#folder, 'data', 'admin-token'), 'utf8').trim();
  }

  /** Makes a checkout or a payment so many seconds older than it is. */
  age(kind, id, seconds) {
    const tool = built('examples/age', ['-p', 'sessile-interop', '--example', 'age']);
    execFileSync(tool, [join(this.#folder, 'data', 'sessile.db'), kind, id, String(seconds)], { stdio: 'pipe' });
  }

  /** Another command of the program on the same data; answers what it printed, and fails where it does. */
  run(...args) {
    return execFileSync(this.#binary, args, { cwd: this.#folder, env: this.#settings(), encoding: 'utf8', timeout: START_MS });
  }

  #settings() {
    const data = join(this.#folder, 'data');
    return { PATH: process.env.PATH, SESSILE_ENV: 'development', SESSILE_DATA_DIR: data, PORT: String(this.port), ...this.#env };
  }

  async #answers() {
    try {
      const signal = AbortSignal.timeout(START_MS);
      return (await fetch(`${this.url}/readyz`, { signal })).ok;
    } catch {
      return false;
    }
  }

  /** Ends the process with `signal` and starts it again on the same port and data. */
  async restart(signal) {
    const code = await this.#end(signal);
    await this.#launch();
    return code;
  }

  async #end(signal) {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode ?? child.signalCode;
    const ended = once(child, 'exit', { signal: AbortSignal.timeout(STOP_MS) });
    child.kill(signal);
    const [code, killed] = await ended;
    return code ?? killed;
  }

  async stop() {
    try {
      await this.#end('SIGTERM');
    } finally {
      this.#child.kill('SIGKILL');
      this.#log.end();
      rmSync(this.#folder, { recursive: true, force: true });
    }
  }
}
