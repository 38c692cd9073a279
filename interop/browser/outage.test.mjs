// The session database goes away and comes back: pages say so, and nobody is told that they are signed out.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { ADA, openBrowser, Person } from './person.mjs';
import { freePort, Program } from './program.mjs';

const START_MS = 10_000;
const POLL_MS = 50;

let browser, program, redis, port;
const folder = mkdtempSync(join(tmpdir(), 'sessile-redis-'));

async function startRedis() {
  const settings = ['--port', port, '--bind', '127.0.0.1', '--dir', folder, '--appendonly', 'yes', '--appendfsync', 'always'];
  redis = spawn('redis-server', settings.map(String), { stdio: 'ignore', env: { PATH: `${process.env.PATH}:/usr/sbin` } });
  for (const began = Date.now(); Date.now() - began < START_MS; await wait(POLL_MS)) {
    const socket = connect(port, '127.0.0.1');
    const answered = await Promise.race([once(socket, 'connect'), once(socket, 'close')]).then(() => !socket.pending, () => false);
    socket.destroy();
    if (answered) return;
  }
  throw new Error('redis-server did not start; ./test --prepare installs it');
}

async function killRedis() {
  if (!redis || redis.exitCode !== null || redis.signalCode !== null) return;
  const ended = once(redis, 'exit');
  redis.kill('SIGKILL');
  await ended;
}

before(async () => {
  port = await freePort();
  [browser] = await Promise.all([openBrowser(), startRedis()]);
  program = await Program.start('outage', { SESSILE_LOGIN_STORE: `redis://127.0.0.1:${port}` });
});
after(async () => {
  await browser?.close();
  await program?.stop();
  await killRedis();
  rmSync(folder, { recursive: true, force: true });
});

test('an outage signs nobody out', async () => {
  const [ada, grace] = await Promise.all([
    Person.arrive(browser, program),
    Person.arrive(browser, program, { colorScheme: 'dark' }),
  ]);
  await ada.signIn();
  await killRedis();

  ada.expect('503 /dashboard');
  await ada.open('/dashboard');
  await ada.page.getByRole('heading', { name: 'One moment' }).waitFor();
  await ada.shoot('away-desktop-light');

  // Who signs in meanwhile is kept here, and told so.
  await grace.signIn(/Grace Hopper/);
  await grace.page.getByRole('status').waitFor();
  await grace.shoot('dashboard-degraded-desktop-dark');

  await startRedis();
  for (const began = Date.now(); Date.now() - began < START_MS; await wait(POLL_MS)) {
    const answer = await ada.page.reload();
    if (answer.ok()) break;
  }
  await ada.isOn('/dashboard');
  await ada.page.getByRole('heading', { level: 1, name: ADA.email }).waitFor();
  await grace.page.reload();
  await grace.page.getByRole('heading', { level: 1, name: 'grace@sandbox.example' }).waitFor();
  await ada.leave();
  await grace.leave();
});
